"""Configurations that Dassl accepts and our trainers reject."""

from collections.abc import Sequence
from pathlib import Path

from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY

from ueo.errors import ConfigError
from ueo.settings.config import extend, flatten, is_online, is_sharded, options_of, setting_of
from ueo.settings.preprocessing import Preprocessing

# keys, or prefixes of keys, that our trainers never read: what applies instead
NOT_READ = {
    "DATALOADER.TRAIN_U.": "the size of its batches is DATALOADER.TRAIN_X.BATCH_SIZE",
    "DATALOADER.TRAIN_X.N_": "it does not draw its images by class or domain",
    "DATALOADER.K_TRANSFORMS": "a batch holds one view of an image",
    "DATALOADER.RETURN_IMG0": "a batch holds one view of an image",
    "DATALOADER.TEST.SAMPLER": "images are tested in the order of their list",
    "MODEL.HEAD.": "its classifier is the text tower",
    "MODEL.BACKBONE.PRETRAINED": "MODEL.BACKBONE.NAME chooses the weights",
    "TRAIN.COUNT_ITER": "an epoch is one pass over its images",
    "OPTIM.STAGED_LR": "its rates are OPTIM.LR, or PROMPT_LR and VISUAL_LR",
    "OPTIM.NEW_LAYERS": "its rates are OPTIM.LR, or PROMPT_LR and VISUAL_LR",
    "OPTIM.BASE_LR_MULT": "its rates are OPTIM.LR, or PROMPT_LR and VISUAL_LR",
}
# keys, or prefixes of keys, and the values of OPTIM.NAME or INPUT.TRANSFORMS that read them
OF_OPTIMISERS = {
    "OPTIM.MOMENTUM": ("sgd", "rmsprop"), "OPTIM.SGD_": ("sgd",), "OPTIM.RMSPROP_": ("rmsprop",),
    "OPTIM.ADAM_": ("adam", "amsgrad", "adamw", "radam"),
}
OF_TRANSFORMS = {
    "INPUT.CROP_PADDING": ("random_crop",), "INPUT.RRCROP_SCALE": ("random_resized_crop",),
    "INPUT.CUTOUT_": ("cutout",), "INPUT.GN_": ("gaussian_noise",),
    "INPUT.RANDAUGMENT_N": ("randaugment", "randaugment_fixmatch", "randaugment2"),
    "INPUT.RANDAUGMENT_M": ("randaugment",), "INPUT.COLORJITTER_": ("colorjitter",),
    "INPUT.RGS_": ("randomgrayscale",), "INPUT.GB_": ("gaussian_blur",),
}
OF_TUNED = {  # learning rates, and the values of TUNE that use them
    "PROMPT_LR": ("both", "prompt"),
    "VISUAL_LR": ("both", "visual_affine", "visual_affine_all", "visual_prompt"),
}
NO_WORDS = ("None", "''", '""')  # mistaken spellings of an empty text
OF_EPOCHS = ("OPTIM.LR_SCHEDULER", "OPTIM.STEPSIZE", "OPTIM.GAMMA", "OPTIM.WARMUP_")


def check_run(cfg, asked: Sequence[str], trainer: type) -> None:
    """Raise ConfigError if a run must not start with `cfg`. asked: KEY, VALUE, ..."""
    _check_asked(cfg, asked, trainer)
    _check_own_images(cfg)
    _check_output(cfg)


def _check_asked(cfg, asked: Sequence[str], trainer: type) -> None:
    """Raise ConfigError if the user changed a key that has no effect: the record would name a
    setting that the run did not use. asked: KEY, VALUE, ...; trainer: the class.

    Only our own trainers are checked, because only of them is known what they read.
    """
    if not asked or not trainer.__module__.startswith("ueo.trainers."):
        return
    now, default = flatten(cfg), flatten(extend(get_cfg_default(), {trainer.__name__: trainer}))
    for key in asked[::2]:
        if now.get(key) != default.get(key):
            _check_counts(key, cfg, trainer)


def _check_counts(key: str, cfg, trainer: type) -> None:
    name, options = trainer.__name__, options_of(cfg, trainer)
    for beginning, instead in NOT_READ.items():
        if key.startswith(beginning):
            raise ConfigError(f"{key}: {name} does not read it; {instead}")
    own, parts = f"TRAINER.{name}.", options.TUNE.split("+")
    weighting = options.get("WEIGHTING", "confidence")  # UEO's
    for beginning, counts, needed in (
        *((part, cfg.OPTIM.NAME in names, f"OPTIM.NAME {' or '.join(names)}")
          for part, names in OF_OPTIMISERS.items()),
        *((part, not {*names}.isdisjoint(cfg.INPUT.TRANSFORMS),
           f"{' or '.join(names)} in INPUT.TRANSFORMS") for part, names in OF_TRANSFORMS.items()),
        *((part, options.SCHEDULE == "epoch", f"{own}SCHEDULE epoch") for part in OF_EPOCHS),
        *((own + rate, not {*tuned}.isdisjoint(parts), f"{tuned[1]} in {own}TUNE")
          for rate, tuned in OF_TUNED.items()),
        (f"{own}DECAY", options.SCHEDULE == "inverse", f"{own}SCHEDULE inverse"),
        *((own + part, weighting == "confidence", f"{own}WEIGHTING confidence")
          for part in ("TEMPERATURE", "REFRESH")),
        (f"{own}DOUBT", weighting != "uniform", f"{own}WEIGHTING confidence or oracle"),
        ("ONLINE.GAMMA", not is_online(cfg) or cfg.ONLINE.ORDER == "correlated",
         "ONLINE.ORDER correlated"),
        ("ONLINE.RESET", not is_online(cfg) or bool(cfg.ONLINE.THEN), "ONLINE.THEN"),
        ("SHARDS.", is_sharded(cfg), "the data set shards"),
        (f"{own}N_CTX", not options.CTX_INIT, f"{own}CTX_INIT ''"),
        (f"{own}N_VISUAL_CTX", "visual_prompt" in options.TUNE, f"visual_prompt in {own}TUNE"),
    ):
        if key.startswith(beginning) and not counts:
            raise ConfigError(f"{key}: applies only with {needed}; set that too, or leave it out")


def _check_own_images(cfg) -> None:
    """Raise ConfigError if the user names own images or class names, but the data set, one of ours,
    reads others: the results would be mistaken for those of the user's images."""
    kind = DATASET_REGISTRY.get(cfg.DATASET.NAME)
    if getattr(kind, "own", False) or not kind.__module__.startswith("ueo.datasets."):
        return
    for key in ("PATH", "NAMES", "RECURSIVE"):
        if setting_of(cfg, key):
            raise ConfigError(
                f"DATASET.{key}, --{key.lower()}: the data set {kind.__name__} has its own images "
                "and class names; for yours name the data set folder, list or shards"
            )


def _check_output(cfg) -> None:
    """Raise ConfigError if the output folder is inside the user's image folder: the next run would
    read pictures of the results as images, or their folders as classes."""
    images = Path(cfg.DATASET.PATH).expanduser()
    if not cfg.DATASET.PATH or is_sharded(cfg) or not images.is_dir():
        return
    if Path(cfg.OUTPUT_DIR).resolve().is_relative_to(images.resolve()):
        raise ConfigError(f"{cfg.OUTPUT_DIR}: results would lie among the images in "
                          f"{cfg.DATASET.PATH}; name a folder elsewhere for them")


def check_trainer(name: str, cfg, options) -> None:
    """Raise ConfigError if `cfg` would select or draw by labels, skip the test, or contradict
    itself. name: the trainer's; options: its own."""
    if cfg.TEST.FINAL_MODEL not in ("last_step", "last_val"):
        raise ConfigError(
            f"TEST.FINAL_MODEL: {name} deploys its last step; choosing an epoch by the labels "
            "of the target is refused"
        )
    if cfg.TEST.NO_TEST or cfg.TEST.SPLIT != "test":
        raise ConfigError(
            f"TEST: {name} always tests its final model on the test set; leave TEST.NO_TEST False "
            "and TEST.SPLIT test"
        )
    if setting_of(cfg, "KEEP_NEGATIVES", "TEST") and not setting_of(cfg, "KEEP_OUTPUTS", "TEST"):
        raise ConfigError("TEST.KEEP_NEGATIVES: needs TEST.KEEP_OUTPUTS True beside it")
    if cfg.DATALOADER.TRAIN_X.SAMPLER != "RandomSampler":
        raise ConfigError(
            f"DATALOADER.TRAIN_X.SAMPLER: {name} draws its images at random (RandomSampler), never "
            f"by label or domain; {cfg.DATALOADER.TRAIN_X.SAMPLER!r} is refused"
        )
    if cfg.INPUT.NO_TRANSFORM:
        raise ConfigError(f"INPUT.NO_TRANSFORM: {name} reads images of INPUT.SIZE; leave it False")
    if options.CTX_INIT in NO_WORDS:
        raise ConfigError(
            f"TRAINER.{name}.CTX_INIT: {options.CTX_INIT!r} would be a word of the prompt; for a "
            "random context give an empty text, '' in a yaml file or a shell"
        )
    if options.ENSEMBLE > 1 and options.CTX_INIT:
        raise ConfigError(
            f"TRAINER.{name}.ENSEMBLE: {options.ENSEMBLE} prompts need a random context "
            "each, set CTX_INIT ''; 1 is no ensemble"
        )


def check_preprocessing(inputs, backbone: str, expected: Preprocessing) -> None:
    """Raise ConfigError unless INPUT.SIZE fits the backbone. Print every other key of `inputs`, the
    configuration's INPUT, that differs from how the backbone was trained."""
    if tuple(inputs.SIZE) != expected.size:
        raise ConfigError(
            f"INPUT.SIZE: {tuple(inputs.SIZE)} does not fit {backbone}, which takes {expected.size}"
        )
    for key, value in expected.keys().items():
        asked = inputs.get(key.removeprefix("INPUT.")) or "shortest"  # only RESIZE_MODE may be None
        if not isinstance(asked, str):
            asked, value = tuple(asked), tuple(value)
        if asked != value:
            print(f"{key} {asked}: {backbone} was trained with {value}")
