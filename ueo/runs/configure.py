"""The settings of a run, and the configuration that is built from them."""

from dataclasses import dataclass
from importlib import import_module

from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY
from dassl.engine import TRAINER_REGISTRY
from dassl.utils import Registry
from yacs.config import CfgNode

import ueo.runs.evaluator  # noqa: F401  (registers itself)
from ueo.clip.backbones import preprocessing
from ueo.errors import ConfigError
from ueo.label_space import parse_setting
from ueo.names import did_you_mean
from ueo.settings import config
from ueo.settings.discover import extend_cfg, import_file
from ueo.settings.machine_share import worker_processes
from ueo.settings.options import pairs
from ueo.settings.preprocessing import Preprocessing
from ueo.settings.shared_names import take_names

PLUGINS = ("ueo.trainers", "ueo.datasets")


@dataclass(frozen=True)
class RunSettings:
    """The options of train.py. An empty one, or None, is left to the yaml files.

    options: KEY, VALUE, KEY, VALUE, ..., which override all else.
    """

    root: str = "data"
    output_dir: str | None = None
    trainer: str = ""
    config_file: tuple[str, ...] = ()
    dataset_config_file: str = ""
    dataset: str = ""
    domain: tuple[str, ...] = ()
    source_domains: tuple[str, ...] = ()
    setting: str = ""
    protocol: str = ""
    path: str = ""
    names: str = ""
    recursive: bool = False
    backbone: str = ""
    transforms: tuple[str, ...] = ()
    seed: int | None = None
    device: str = "auto"
    threads: int = 0
    plugin: tuple[str, ...] = ()
    resume: str = ""
    eval_only: bool = False
    model_dir: str = ""
    load_epoch: int | None = None
    overwrite: bool = False
    options: tuple[str, ...] = ()

    def keys(self) -> dict:
        """Return {configuration key: value} of what is set, without `options`."""
        asked = {
            "DATASET.ROOT": self.root,
            "OUTPUT_DIR": self.output_dir,
            "TRAINER.NAME": self.trainer,
            "DATASET.NAME": self.dataset,
            "DATASET.TARGET_DOMAINS": self.domain,
            "DATASET.SOURCE_DOMAINS": self.source_domains,
            "DATASET.SETTING": self.setting,
            "DATASET.PROTOCOL": self.protocol,
            "DATASET.PATH": self.path,
            "DATASET.NAMES": self.names,
            "DATASET.RECURSIVE": self.recursive or None,
            "MODEL.BACKBONE.NAME": self.backbone,
            "INPUT.TRANSFORMS": self.transforms,
            "RESUME": self.resume,
            "SEED": self.seed,
        }
        return {key: value for key, value in asked.items() if value not in (None, "", ())}


def options_of_record(flat: dict, plugins: tuple[str, ...], what: str) -> tuple[str, ...]:
    """Return the configuration {key: value} of a record as `RunSettings.options`. Raises
    ConfigError, which begins with `what`, if its trainer, data set or a key is unknown."""
    known = _defaults(plugins)[1]
    absent = [f"{kind}.NAME {flat.get(f'{kind}.NAME')}"
              for kind, registry in (("TRAINER", TRAINER_REGISTRY), ("DATASET", DATASET_REGISTRY))
              if flat.get(f"{kind}.NAME") not in registry.registered_names()]
    absent += [f"option {key}" for key in flat if key not in known]
    if absent:
        raise ConfigError(
            f"{what}: its {absent[0]} is not known here; name the Python file that defines it by "
            "--plugin (in Python, plugin=), or use the version of ueo that wrote it"
        )
    return tuple(part for key, value in flat.items() for part in (key, str(value)))


def register(plugins: tuple[str, ...] | list[str] = ()) -> list:
    """Register all trainers and data sets of this project and of the files `plugins`. Returns the
    modules of these files."""
    for package in PLUGINS:
        import_module(package)
    take_names()
    return [import_file(file) for file in plugins]


def build_cfg(settings: RunSettings) -> CfgNode:
    """Return the configuration alone, see `configured`."""
    return configured(settings)[0]


def configured(settings: RunSettings) -> tuple[CfgNode, dict]:
    """Build a run's configuration. Later sources win: defaults, plug-ins, data set yaml, trainer
    yaml, pre-processing of the backbone, options of train.py, KEY VALUE. Also return {key: its
    value before} for each KEY. Raises ConfigError for an unknown key or name, or a value out of
    range."""
    cfg, known = _cfg_of_files(settings)
    given = pairs(settings.options, config.COMMAND_LINE)
    before = config.flatten(cfg) if given else {}
    for key, value in given:
        config.set_key(cfg, key, value, config.COMMAND_LINE, known)
    config.check(cfg, known)
    cfg.DATASET.SETTING = parse_setting(cfg.DATASET.SETTING)
    check_name("trainer", cfg.TRAINER.NAME, TRAINER_REGISTRY)
    check_name("data set", cfg.DATASET.NAME, DATASET_REGISTRY)
    cfg.freeze()
    return cfg, {key: before[key] for key, _ in given}


def _defaults(plugins: tuple[str, ...]) -> tuple[CfgNode, dict]:
    """Return (the configuration before any file or argument; the declarations of its keys)."""
    modules = register(plugins)
    trainers = {n: TRAINER_REGISTRY.get(n) for n in TRAINER_REGISTRY.registered_names()}
    cfg = config.extend(get_cfg_default(), trainers)
    cfg.TEST.EVALUATOR = "UFTEvaluator"
    cfg.DATALOADER.NUM_WORKERS = worker_processes()
    for module in modules:
        extend_cfg(module, cfg)
    return cfg, config.declarations(cfg, trainers)


def _cfg_of_files(settings: RunSettings) -> tuple[CfgNode, dict]:
    """Return (the configuration before KEY VALUE, unchecked; the declarations of its keys)."""
    cfg, known = _defaults(settings.plugin)
    for what, name, registry in (("trainer", settings.trainer, TRAINER_REGISTRY),
                                 ("data set", settings.dataset, DATASET_REGISTRY)):
        if name:  # before the yaml files: a wrong name explains wrong options
            check_name(what, name, registry)
    dataset = [settings.dataset_config_file] if settings.dataset_config_file else []
    for path in [*dataset, *settings.config_file]:
        config.merge_file(cfg, path, known)
    _preprocess_as_trained(cfg, settings, known)
    for key, value in settings.keys().items():
        config.set_key(cfg, key, value, config.COMMAND_LINE, known)
    cfg.USE_CUDA = cfg.USE_CUDA and settings.device != "cpu"
    return cfg, known


def _preprocess_as_trained(cfg: CfgNode, settings: RunSettings, known: dict) -> None:
    """Set the pre-processing that the backbone was trained with, if it is known. It overrides the
    yaml files; the command line overrides it."""
    asked = dict(pairs(settings.options, config.COMMAND_LINE))
    if asked.keys() >= Preprocessing().keys().keys():  # complete, as from a record
        return
    name = str(asked.get("MODEL.BACKBONE.NAME") or settings.backbone or cfg.MODEL.BACKBONE.NAME)
    set_preprocessing(cfg, name, known)


def set_preprocessing(cfg: CfgNode, backbone: str, known: dict) -> None:
    """Set the pre-processing that `backbone` was trained with, if it is known."""
    steps = preprocessing(backbone)
    for key, value in steps.keys().items() if steps else ():
        config.set_key(cfg, key, value, backbone, known)


def check_name(what: str, name: str, registry: Registry) -> None:
    """Raise ConfigError, with the nearest name, unless `name` is registered."""
    known = sorted(registry.registered_names())
    if name not in known:
        raise ConfigError(
            f"unknown {what} {name!r}{did_you_mean(name, known)}; known: {', '.join(known)}, and "
            "those in a Python file that --plugin names"
        )
