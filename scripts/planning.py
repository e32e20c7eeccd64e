"""Which runs a grid has: data sets x trainers x label spaces x domains x seeds."""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path

from ueo.datasets.base import UFTDataset

import train
from ueo.clip import backbones
from ueo.errors import ConfigError, DataError
from ueo.grids import parallel
from ueo.inputs import Inputs
from ueo.label_space import parse_setting
from ueo.names import nearest
from ueo.runs.current_inputs import data_inputs, method_inputs
from ueo.settings import config
from ueo.settings.discover import import_file
from ueo.settings.known_keys import OWN
from ueo.settings.options import quoted
from ueo.settings.yaml_files import read_yaml
from ueo.text import file_name, shown

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
BENCHMARK = ("office31", "office_home", "visda_c", "domainnet")  # the 15 domains of the field
ALL = "all"  # of data sets: BENCHMARK; of trainers: every one here


def import_plugins(files: list[str]) -> None:
    """Register what the files of --plugin hold, before anything is looked up by its name."""
    for file in files:
        import_file(file)


def dataset_names(asked: list[str]) -> list[str]:
    """Names of files in configs/datasets and paths of other yaml files. Raises ConfigError for one
    that is not there."""
    known = sorted(path.stem for path in (CONFIGS / "datasets").glob("*.yaml"))
    names = [n for name in asked for n in (BENCHMARK if name == ALL else (name,))]
    for name in names:
        if name not in known and not Path(name).is_file():
            raise ConfigError(
                f"there is no data set {name!r} (no configs/datasets/{name}.yaml)"
                f"{nearest(name, known)}; available: {', '.join(known)}, or {ALL} for the 15 "
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
    train.check_name("data set", chosen, train.DATASET_REGISTRY)
    kind = train.DATASET_REGISTRY.get(chosen)
    if not (isinstance(kind, type) and issubclass(kind, UFTDataset)):
        raise ConfigError(f"{path}: {chosen} is no UFTDataset, which a grid needs; use train.py")
    return kind


def trainer_names(asked: list[str]) -> list[str]:
    """Registered names of our trainers, zero-shot CLIP first for `all`."""
    if ALL in asked:
        ours = [n for n in train.TRAINER_REGISTRY.registered_names()
                if hasattr(train.TRAINER_REGISTRY.get(n), "trainable")]
        asked = sorted(ours, key=lambda n: (n != "ZeroshotCLIP", n))
    for name in asked:
        train.check_name("trainer", name, train.TRAINER_REGISTRY)
    return list(dict.fromkeys(asked))


def trainer_yamls(trainer: str, backbone: str, dataset: str, recipe: str) -> list[str]:
    """Yaml files of a trainer, later ones win.

    "common": UEO's for the backbone (its RN50's where there is none), what the trainer changes, for
    the backbone and for the data set. "paper": the trainer's own paper's instead. Raises
    ConfigError where there is no such recipe.
    """
    ueo, own = CONFIGS / "trainers" / "UEO", CONFIGS / "trainers" / trainer
    stem = config_stem(backbone)
    if recipe == "paper" and trainer not in ("UEO", "ZeroshotCLIP"):  # theirs is the common one
        files = [own / "paper.yaml"]
        if not files[0].is_file():
            raise ConfigError(f"--recipe paper: there is no configs/trainers/{trainer}/paper.yaml")
    else:
        base = ueo / (f"{stem}.yaml" if (ueo / f"{stem}.yaml").is_file() else "rn50.yaml")
        files = [base, own / "common.yaml", own / f"{stem}.yaml", ueo / f"{dataset}.yaml"]
    files.append(own / f"{dataset}.yaml")
    return [str(file) for file in dict.fromkeys(files) if file.is_file()]


def config_stem(backbone: str) -> str:
    """"ViT-B/16" -> "vit_b16"; a file of weights -> its stem."""
    if Path(backbone).is_file():
        return Path(backbone).stem
    stem = backbone.lower().replace("/", "").replace("-", "_").replace("@", "_")
    return {"tinyclip": "tiny_clip"}.get(stem, stem)


def config_name(backbone: str, args: argparse.Namespace) -> str:
    """Name of the configuration in output paths: the backbone and what departs from its yaml.
    As a folder, signs that no path holds are written as %2F, and a long name ends in a hash."""
    changes = [
        f"{key.split('.')[-1]}={value}"
        for key, value in zip(args.set[::2], args.set[1::2])
        if key not in config.VOLATILE
    ]
    if args.protocol and args.protocol != "released":
        changes.insert(0, args.protocol)
    if args.recipe != "common":
        changes.insert(0, args.recipe)
    return "+".join([config_stem(backbone), *changes])


def plan(args: argparse.Namespace, dataset: str) -> list[parallel.Run]:
    """Every run on one data set, in the order of the table. Raises ConfigError for a wrong name."""
    if len(args.set) % 2:
        raise ConfigError(f"--set takes KEY VALUE pairs, but {args.set[-1]!r} has no value")
    if args.protocol:
        OWN["DATASET"]["PROTOCOL"].checked(args.protocol, "--protocol")
    data, kind = dataset_yaml(dataset), dataset_class(dataset)
    named = str(read_yaml(str(data)).get("MODEL.BACKBONE.NAME", "RN50"))
    backbone = args.backbone or named
    backbones.check_name(backbone)
    domains = _domains(args, kind)
    settings = dict.fromkeys(map(parse_setting, args.setting)) or kind.settings
    seeds = list(dict.fromkeys(args.seed))
    runs = []
    for trainer in trainer_names(args.trainers):
        deterministic = getattr(train.TRAINER_REGISTRY.get(trainer), "deterministic", False)
        expected = None
        for setting in settings:
            for domain in domains:
                for seed in seeds[:1] if deterministic else seeds:
                    run = _run(args, data.stem, data, backbone, trainer, setting, domain, seed)
                    expected = expected or _resolved(run)
                    run.config.update(expected)
                    run.config.update({"DATASET.SETTING": setting, "SEED": seed,
                                       "DATASET.TARGET_DOMAINS": [domain]})
                    runs.append(run)
    return runs


def plan_with(
    args: argparse.Namespace, dataset: str, trainer: str, options: list[str], **changed
) -> list[parallel.Run]:
    """The runs of one trainer with further KEY VALUE options; changed: other arguments."""
    asked = {**vars(args), "trainers": [trainer], "set": [*args.set, *options], **changed}
    return plan(argparse.Namespace(**asked), dataset)


def tested_elsewhere(
    args: argparse.Namespace, run: parallel.Run, option: str, values: list[str], folder: str,
    shares: tuple[str, ...] = ("1",),
) -> tuple[parallel.Run, list[Path]]:
    """(the evaluation of a finished run by wise_ft.py, the folders of its records).

    option, values: what differs, "--domain" or "--classes". folder: below the run's.
    shares: of the tuned weights.
    """
    output = run.folder / folder
    argv = ["--model-dir", str(run.folder), "--alpha", *shares, option, *values, "--output-dir",
            str(output), "--root", args.root, "--device", args.device]
    argv += ["--threads", "1"] if args.device != "cuda" else []
    argv += ["--plugin", *args.plugin] if args.plugin else []
    label = f"{run.label}, tested on {' '.join(values)}"
    records = [output / value / f"alpha{share}" for value in values for share in shares]
    return parallel.Run(tuple(argv), output, label, run.config), records


def _domains(args: argparse.Namespace, kind: type) -> list[str]:
    if getattr(kind, "own", False):
        if not args.path:
            raise ConfigError("--path: say where your images are, their folder or their list")
        if not os.path.exists(os.path.expanduser(args.path)):
            raise ConfigError(f"--path: {quoted(args.path)} does not exist")
        own = list(kind.targets_at(args.path))
        if other := [domain for domain in args.domain if domain not in own]:
            raise ConfigError(
                f"--domain {quoted(other[0])}: {args.path} is one domain, {own[0]!r}; leave "
                "--domain away"
            )
        return own
    return list(dict.fromkeys(map(kind.domain_of, args.domain))) or list(kind.targets)


def _resolved(run: parallel.Run) -> dict:
    """The run's resolved configuration. That of a run which differs in data set or trainer must be
    built anew; domain, label space and seed are put in by hand, which is a hundred times faster."""
    return config.resolved(_cfg(run))


def _cfg(run: parallel.Run):
    return train.build_cfg(train.parser().parse_args(list(run.argv)))


class PlannedInputs:
    """Inputs of planned runs; those of a domain's images, and those of a method, are read once."""

    def __init__(self):
        self.known: dict[str, tuple[Inputs | None, str]] = {}

    def of(self, run: parallel.Run) -> tuple[Inputs | None, str]:
        """(inputs, ""), or (None, why) where the images are not there."""
        own = ("SEED", "DATASET.SETTING")
        flat = {k: v for k, v in run.config.items() if k not in own}
        data, why = self._once(
            run, {k: v for k, v in flat.items() if k.startswith("DATASET.")}, data_inputs
        )
        flat.pop("DATASET.TARGET_DOMAINS")
        method, _ = self._once(run, flat, method_inputs)
        return (None, why) if data is None else ({**data, **method}, "")

    def _once(self, run: parallel.Run, part: dict, read: Callable) -> tuple[Inputs | None, str]:
        key = json.dumps([read.__name__, part, run.argv[: run.argv.index("--trainer")]])
        if key not in self.known:
            try:
                self.known[key] = read(_cfg(run)), ""
            except DataError as error:
                self.known[key] = None, str(error)
        return self.known[key]


def _option(name: str, value: str) -> list[str]:
    """An option as argparse takes it, also with a value such as "-x"."""
    return [f"--{name}={value}"] if value.startswith("-") else [f"--{name}", value]


def _run(args, dataset, data, backbone, trainer, setting, domain, seed) -> parallel.Run:
    levels = dataset, trainer, config_name(backbone, args), setting, domain, f"seed{seed}"
    folder = Path(args.output, *map(file_name, levels))
    yamls = [args.config_file]
    if not args.config_file:
        yamls = trainer_yamls(trainer, backbone, dataset, args.recipe)
    argv = [
        *_option("root", args.root), "--trainer", trainer, "--dataset-config-file", str(data),
        "--config-file", *yamls, "--backbone", backbone, *_option("domain", domain), "--setting",
        setting, "--seed", str(seed), "--device", args.device, *_option("output-dir", str(folder)),
    ]
    if args.plugin:
        argv += ["--plugin", *(str(Path(file).absolute()) for file in args.plugin)]
    for option in ("protocol", "path", "names"):
        argv += _option(option, getattr(args, option)) if getattr(args, option) else []
    argv += ["--overwrite"] if args.overwrite else []
    argv += ["--threads", "1"] if args.device != "cuda" else []
    options = [
        part
        for key, value in zip(args.set[::2], args.set[1::2])
        if not key.startswith("TRAINER.") or key.startswith(f"TRAINER.{trainer}.")
        for part in (key, value)
    ]
    label = shown(f"{trainer} {dataset} {setting} {domain} seed {seed}")
    return parallel.Run(tuple(argv + options), folder, label)
