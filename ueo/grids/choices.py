"""What the names of a grid's options stand for: data sets, trainers, and their yaml files."""

from collections.abc import Callable, Iterable, Sequence
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
BENCHMARK = ("office31", "office_home", "visda_c", "domainnet")  # the 15 domains of the field
COMMON = "common.yaml"  # in a trainer's folder: its recipe on every backbone
ONLINE_YAML = "online.yaml"  # there, too: what it changes for streams
OF_PAPER = ("UEO", ZERO_SHOT)  # whose common recipe is that of their paper
OF_IMAGES = ("MODEL.BACKBONE.NAME", "INPUT.SIZE", "INPUT.INTERPOLATION", "INPUT.PIXEL_MEAN",
             "INPUT.PIXEL_STD")
OF_STEPS = ("INPUT.TRANSFORMS", "DATALOADER.TRAIN_X.BATCH_SIZE", "OPTIM.NAME", "OPTIM.LR",
            "OPTIM.MAX_EPOCH")
ALL = "all"  # of data sets: BENCHMARK; of trainers: every one here


def dataset_names(asked: tuple[str, ...]) -> list[str]:
    """Names of files in configs/datasets and paths of other yaml files. Raises ConfigError for one
    that is not there."""
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
    """The yaml file of a data set: in configs/datasets/, or at the path that `name` is."""
    here = CONFIGS / "datasets" / f"{name}.yaml"
    return here if here.is_file() else Path(name).absolute()


def dataset_class(name: str) -> type:
    """The registered class that the data set's yaml names. Raises ConfigError when it is unknown,
    or no data set of label spaces and domains, without which there is no grid."""
    path = dataset_yaml(name)
    chosen = str(read_yaml(str(path)).get("DATASET.NAME", ""))
    check_name("data set", chosen, DATASET_REGISTRY)
    kind = DATASET_REGISTRY.get(chosen)
    if not (isinstance(kind, type) and hasattr(kind, "domain_of")):
        raise ConfigError(f"{path}: {chosen} is no UFTDataset, which a grid needs; use train.py")
    return kind


def reported_domains(dataset: str) -> tuple[str, ...]:
    """The domains that a study reports: all targets but the tuning domain."""
    kind = dataset_class(dataset)
    return tuple(domain for domain in kind.targets if domain != kind.tuning_domain)


def output_name(dataset: str) -> str:
    """Name of the data set's folder among the records."""
    return dataset_yaml(dataset).stem


def trainer_names(settings: GridSettings) -> list[str]:
    """Registered names of the trainers that are asked for. `all` are ours, zero-shot CLIP first,
    but for those that `left_out` names. Raises ConfigError for an unknown name."""
    asked = settings.trainers
    if ALL in asked:
        without = {name for names in left_out(settings).values() for name in names}
        asked = [name for name in _every_trainer() if name not in without]
    for name in asked:
        check_name("trainer", name, TRAINER_REGISTRY)
    return list(dict.fromkeys(asked))


def left_out(settings: GridSettings) -> dict[str, list[str]]:
    """{why: the trainers that `all` leaves out for it}: no paper.yaml under --recipe paper, no
    online form under --protocol online, or no other. One that is named is an error, see
    `trainer_yamls`, or its run says what it lacks."""
    names, found = _every_trainer() if ALL in settings.trainers else [], {}
    if settings.recipe == "paper" and not settings.config_file:
        found["having no paper.yaml"] = [
            name for name in names if name not in OF_PAPER and not _paper_yaml(name).is_file()]
    if settings.protocol == ONLINE:
        found["having no online form"] = [name for name in names if not has_online_form(name)]
    else:
        found["made for streams alone"] = [
            n for n in names if getattr(TRAINER_REGISTRY.get(n), "online_only", False)]
    return {why: trainers for why, trainers in found.items() if trainers}


def has_online_form(trainer: str) -> bool:
    """Whether a trainer answers a stream in a way of its own, or has a recipe for it."""
    kind = TRAINER_REGISTRY.get(trainer)
    own = getattr(kind, "online_step", None) not in (None, OnlineTrainer.online_step)
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
    """Yaml files of a trainer that are there; later ones win.

    recipe "common": UEO's of the backbone, or else its common one; UEO's of the data set; the
    trainer's common one; the trainer's of the backbone; then with `online` UEO's and the trainer's
    of streams, else the trainer's of the data set. "paper": that of the trainer's paper; then,
    unless `online`, the trainer's of the data set. Raises ConfigError where it has no paper's.
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
        changed = [own / COMMON] if own != base else []  # UEO's is no change
        of_streams = [folder / ONLINE_YAML for folder in (base, own)] if online else []
        files = [first, base / f"{dataset}.yaml", *changed, own / f"{stem}.yaml", *of_streams]
    files += [] if online else [own / f"{dataset}.yaml"]
    return [str(file) for file in dict.fromkeys(files) if file.is_file()]


def check_whole(recipe: Path, trainer: str, besides: Iterable[str] = ()) -> None:
    """Raise ConfigError unless a recipe that stands alone, a paper's or one's own, sets what every
    recipe must: what it leaves out would be the engine's default, which is no CLIP's.

    besides: keys that are set elsewhere.
    """
    steps = () if takes_no_step(trainer) else OF_STEPS
    given = {*read_yaml(str(recipe)), *besides}
    if missing := [key for key in (*OF_IMAGES, *steps) if key not in given]:
        raise ConfigError(
            f"{recipe} leaves out {', '.join(missing)}; a recipe stands alone and must set them "
            "(to change some options alone, use --set KEY VALUE)"
        )


def in_name(key: str, value: str) -> str:
    """An option's value in the name of a folder or table: of a file its base name, with a hash of
    the path, which tells it from others of that name."""
    trainer, _, option = key.removeprefix("TRAINER.").partition(".")
    is_file = key in FILES or option in of_registered(TRAINER_REGISTRY, trainer, "input_files", ())
    short = base_name(value) if is_file else without_folders(value)
    return value if short == value else f"{short}-{short_hash(value)}"


def as_given(key: str, value: str) -> str:
    """In the place of `in_name`: how earlier versions named folders."""
    return value


def config_name(backbone: str, settings: GridSettings, methods: Sequence[str] = (),
                named: Callable[[str, str], str] = in_name) -> str:
    """Name of the configuration in output paths: the backbone and what departs from its yaml.
    methods: of a table, in which several may have an option of one name."""
    changes = [f"{_short(key, methods)}={named(key, value)}"
               for key, value in pairs(settings.options, "--set") if decides(key)]
    if settings.protocol and settings.protocol != "released":
        changes.insert(0, settings.protocol)
    if settings.recipe != "common":
        changes.insert(0, settings.recipe)
    return "+".join([name_in_paths(backbone), *changes])


def _short(key: str, methods: Sequence[str]) -> str:
    """The end of an option's name, with its trainer where others of `methods` have one like it."""
    *nodes, end = key.split(".")
    if nodes[:1] == ["TRAINER"]:
        having = [name for name in methods if end in declared(TRAINER_REGISTRY.get(name))]
        if len(having) > 1:
            return f"{nodes[-1]}.{end}"
    return end
