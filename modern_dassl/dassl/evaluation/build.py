"""The registry of evaluators."""

from dassl.utils import Registry, check_availability

EVALUATOR_REGISTRY = Registry("EVALUATOR")


def build_evaluator(cfg, **kwargs):
    """Build the evaluator TEST.EVALUATOR. Raise ConfigValueError for an unknown name."""
    names = EVALUATOR_REGISTRY.registered_names()
    check_availability(cfg.TEST.EVALUATOR, names, "TEST.EVALUATOR")
    if cfg.VERBOSE:
        print(f"Loading evaluator: {cfg.TEST.EVALUATOR}")
    return EVALUATOR_REGISTRY.get(cfg.TEST.EVALUATOR)(cfg, **kwargs)
