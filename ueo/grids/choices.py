"""Resolve the names in a grid's options: data sets, trainers, and their yaml files."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY
from dassl.engine import TRAINER_REGISTRY

import ueo
from ueo.clip.backbones import name_in_paths
from ueo.errors import ConfigError
from ueo.grids.grid_settings import ZERO_SHOT, GridSettings
from ueo.inputs import FILES
from ueo.names import did_you_mean
from ueo.runs.configure import check_name
from ueo.runs.folder import takes_no_step
from ueo.runs.online.trainer import OnlineTrainer
from ueo.settings.config import decides
from ueo.settings.discover import of_registered
from ueo.settings.known_keys import ONLINE
from ueo.settings.options import declared, pairs
from ueo.settings.yaml_files import read_yaml
from ueo.text import base_name, short_hash, without_folders

CONFIGS = Path(ueo.__file__).resolve().parents[1] / "configs"
BENCHMARK = ("office31", "office_home", "visda_c", "domainnet")  # the usual 15 domains
COMMON = "common.yaml"  # in a trainer's folder: its recipe on every backbone
ONLINE_YAML = "online.yaml"  # in a trainer's folder: its changes for streams
OF_PAPER = ("UEO", ZERO_SHOT)  # trainers whose common recipe is their paper's
OF_IMAGES = ("MODEL.BACKBONE.NAME", "INPUT.SIZE", "INPUT.INTERPOLATION", "INPUT.PIXEL_MEAN",
             "INPUT.PIXEL_STD")
OF_STEPS = ("INPUT.TRANSFORMS", "DATALOADER.TRAIN_X.BATCH_SIZE", "OPTIM.NAME", "OPTIM.LR",
            "OPTIM.MAX_EPOCH")
ALL = "all"  # as a data set: BENCHMARK; as a trainer: every trainer here


def dataset_names(asked: tuple[str, ...]) -> list[str]:
    """Return names of files in configs/datasets and paths of other yaml files. Raise ConfigError if
    one does not exist."""
    known = sorted(path.stem for path in (CONFIGS / "datasets").glob("*.yaml"))
    names = [n for name in asked for n in (BENCHMARK if name == ALL else (name,))]
    for name in names:
        if name not in known and not Path(name).is_file():
            raise ConfigError(
                f"there is no data set {name!r} (no configs/datasets/{name}.yaml)"
                f"{did_you_mean(name, known)}; available: {', '.join(known)}, or {ALL} for the 15 "
                "domains"
            )
    return list(dict.fromkeys(names))


def dataset_yaml(name: str) -> Path:
    """Return the yaml file of a data set: configs/datasets/<name>.yaml, or the path `name`."""
    here = CONFIGS / "datasets" / f"{name}.yaml"
    return here if here.is_file() else Path(name).absolute()


def dataset_class(name: str) -> type:
    """Return the registered class that the data set's yaml names. Raise ConfigError if it is
    unknown or has no label spaces and domains, which a grid needs."""
    path = dataset_yaml(name)
    chosen = str(read_yaml(str(path)).get("DATASET.NAME", ""))
    check_name("data set", chosen, DATASET_REGISTRY)
    kind = DATASET_REGISTRY.get(chosen)
    if not (isinstance(kind, type) and hasattr(kind, "domain_of")):
        raise ConfigError(f"{path}: {chosen} is no UFTDataset, which a grid needs; use train.py")
    return kind


def reported_domains(dataset: str) -> tuple[str, ...]:
    """Return the domains that a study reports: all targets except the tuning domain."""
    kind = dataset_class(dataset)
    return tuple(domain for domain in kind.targets if domain != kind.tuning_domain)


def output_name(dataset: str) -> str:
    """Return the name of the data set's output folder."""
    return dataset_yaml(dataset).stem


def trainer_names(settings: GridSettings) -> list[str]:
    """Return the registered names of the requested trainers. `all` means ours, zero-shot CLIP
    first, without those in `left_out`. Raise ConfigError for an unknown name."""
    asked = settings.trainers
    if ALL in asked:
        without = {name for names in left_out(settings).values() for name in names}
        asked = [name for name in _every_trainer() if name not in without]
    for name in asked:
        check_name("trainer", name, TRAINER_REGISTRY)
    return list(dict.fromkeys(asked))


def left_out(settings: GridSettings) -> dict[str, list[str]]:
    """Return {reason: trainers that `all` leaves out}: no paper.yaml under --recipe paper, no
    online form under --protocol online, or online only under another protocol. Naming such a
    trainer explicitly is an error, raised by `trainer_yamls` or by its run."""
    names, found = _every_trainer() if ALL in settings.trainers else [], {}
    if settings.recipe == "paper" and not settings.config_file:
        found["having no paper.yaml"] = [
            name for name in names if name not in OF_PAPER and not _paper_yaml(name).is_file()]
    if settings.protocol == ONLINE:
        found["having no online form"] = [name for name in names if not has_online_form(name)]
    else:
        found["made only for streams"] = [
            name for name in names if TRAINER_REGISTRY.get(name).online_only]
    return {why: trainers for why, trainers in found.items() if trainers}


def has_online_form(trainer: str) -> bool:
    """Whether a trainer has its own online step, or a recipe for streams."""
    kind = TRAINER_REGISTRY.get(trainer)
    own = kind.online_step is not OnlineTrainer.online_step
    recipe = CONFIGS / "trainers" / trainer / ONLINE_YAML
    return not kind.uses_labels and (own or trainer == ZERO_SHOT or recipe.is_file())


def _every_trainer() -> list[str]:
    ours = [n for n in TRAINER_REGISTRY.registered_names()
            if hasattr(TRAINER_REGISTRY.get(n), "trainable")]
    return sorted(ours, key=lambda n: (n != ZERO_SHOT, n))


def _paper_yaml(trainer: str) -> Path:
    return CONFIGS / "trainers" / trainer / "paper.yaml"


def trainer_yamls(
    trainer: str, backbone: str, dataset: str, recipe: str, online: bool = False
) -> list[str]:
    """Return the existing yaml files of a trainer; later ones override earlier ones.

    recipe "common": UEO's file for the backbone, or else its common one; UEO's for the data set;
    the trainer's common one; the trainer's for the backbone; then with `online` UEO's and the
    trainer's for streams, else the trainer's for the data set. recipe "paper": the trainer's
    paper.yaml; then, unless `online`, the trainer's for the data set. Raise ConfigError if there is
    no paper.yaml.
    """
    base, own = CONFIGS / "trainers" / "UEO", CONFIGS / "trainers" / trainer
    stem = name_in_paths(backbone)
    if recipe == "paper" and trainer not in OF_PAPER:
        files = [_paper_yaml(trainer)]
        if not files[0].is_file():
            raise ConfigError(f"--recipe paper: there is no configs/trainers/{trainer}/paper.yaml")
        check_whole(files[0], trainer)
    else:
        first = base / (f"{stem}.yaml" if (base / f"{stem}.yaml").is_file() else COMMON)
        changed = [own / COMMON] if own != base else []  # UEO's is already in the list
        of_streams = [folder / ONLINE_YAML for folder in (base, own)] if online else []
        files = [first, base / f"{dataset}.yaml", *changed, own / f"{stem}.yaml", *of_streams]
    files += [] if online else [own / f"{dataset}.yaml"]
    return [str(file) for file in dict.fromkeys(files) if file.is_file()]


def check_whole(recipe: Path, trainer: str, besides: Iterable[str] = ()) -> None:
    """Raise ConfigError unless a complete recipe (a paper's or the user's) sets all required keys.
    A missing key would take the engine's default, which does not suit CLIP.

    besides: keys that are set elsewhere.
    """
    steps = () if takes_no_step(trainer) else OF_STEPS
    given = {*read_yaml(str(recipe)), *besides}
    if missing := [key for key in (*OF_IMAGES, *steps) if key not in given]:
        raise ConfigError(
            f"{recipe} leaves out {', '.join(missing)}; a recipe must be complete and set them "
            "(to change only some options, use --set KEY VALUE)"
        )


def in_name(key: str, value: str) -> str:
    """Return an option's value as it appears in the name of a folder or table. For a file that is
    its base name and a hash of its path, which distinguishes files of the same name."""
    trainer, _, option = key.removeprefix("TRAINER.").partition(".")
    is_file = key in FILES or option in of_registered(TRAINER_REGISTRY, trainer, "input_files", ())
    short = base_name(value) if is_file else without_folders(value)
    return value if short == value else f"{short}-{short_hash(value)}"


def config_name(backbone: str, settings: GridSettings, methods: Sequence[str] = ()) -> str:
    """Return the name of the configuration in output paths: the backbone and the changed options.
    methods: those of a table, of which several may have an option of the same name."""
    changes = [f"{_short(key, methods)}={in_name(key, value)}"
               for key, value in pairs(settings.options, "--set") if decides(key)]
    if settings.protocol and settings.protocol != "released":
        changes.insert(0, settings.protocol)
    if settings.recipe != "common":
        changes.insert(0, settings.recipe)
    return "+".join([name_in_paths(backbone), *changes])


def _short(key: str, methods: Sequence[str]) -> str:
    """Return the last part of an option's name; with its trainer if several `methods` have it."""
    *nodes, end = key.split(".")
    if nodes[:1] == ["TRAINER"]:
        having = [name for name in methods if end in declared(TRAINER_REGISTRY.get(name))]
        if len(having) > 1:
            return f"{nodes[-1]}.{end}"
    return end
