"""What our trainers refuse of a configuration that Dassl would take."""

from ueo.errors import ConfigError


def check_trainer(name: str, cfg, options) -> None:
    """Raise ConfigError for what would choose or draw by labels, test nothing, or contradict
    itself. name: of the trainer; options: its own."""
    if cfg.TEST.FINAL_MODEL not in ("last_step", "last_val"):
        raise ConfigError(
            f"TEST.FINAL_MODEL: {name} deploys its last step; choosing an epoch by the labels "
            "of the target is refused"
        )
    if cfg.TEST.NO_TEST or cfg.TEST.SPLIT != "test":
        raise ConfigError(
            f"TEST: {name} always tests the model that it ends with, on the test set; leave "
            "TEST.NO_TEST False and TEST.SPLIT test"
        )
    if cfg.DATALOADER.TRAIN_X.SAMPLER != "RandomSampler":
        raise ConfigError(
            f"DATALOADER.TRAIN_X.SAMPLER: {name} draws its images at random, by RandomSampler "
            f"alone, and by no label or domain; {cfg.DATALOADER.TRAIN_X.SAMPLER!r} is refused"
        )
    if options.ENSEMBLE > 1 and options.CTX_INIT:
        raise ConfigError(
            f"TRAINER.{name}.ENSEMBLE: {options.ENSEMBLE} prompts need a random context "
            "each, set CTX_INIT ''; 1 is no ensemble"
        )


def check_resolution(size: tuple[int, int], backbone: str, expected: tuple[int, int]) -> None:
    """Raise ConfigError unless images of INPUT.SIZE fit the backbone, which takes `expected`."""
    if tuple(size) != expected:
        raise ConfigError(
            f"INPUT.SIZE: {tuple(size)} does not fit {backbone}, which takes {expected}"
        )
