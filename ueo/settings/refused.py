"""What our trainers refuse of a configuration that Dassl would take."""

from ueo.errors import ConfigError
from ueo.settings.config import setting_of
from ueo.settings.preprocessing import Preprocessing


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
    if setting_of(cfg, "KEEP_NEGATIVES", "TEST") and not setting_of(cfg, "KEEP_OUTPUTS", "TEST"):
        raise ConfigError("TEST.KEEP_NEGATIVES: needs TEST.KEEP_OUTPUTS True beside it")
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


def check_preprocessing(inputs, backbone: str, expected: Preprocessing) -> None:
    """Raise ConfigError unless images of INPUT.SIZE fit the backbone; say what else of `inputs`,
    the configuration's INPUT, is not as the backbone was trained."""
    if tuple(inputs.SIZE) != expected.size:
        raise ConfigError(
            f"INPUT.SIZE: {tuple(inputs.SIZE)} does not fit {backbone}, which takes {expected.size}"
        )
    for key, value in expected.keys().items():
        asked = inputs.get(key.removeprefix("INPUT.")) or "shortest"  # RESIZE_MODE alone is None
        if not isinstance(asked, str):
            asked, value = tuple(asked), tuple(value)
        if asked != value:
            print(f"{key} {asked}: {backbone} was trained with {value}")
