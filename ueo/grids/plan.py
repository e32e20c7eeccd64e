"""Plan the runs of a grid: data sets x trainers x label spaces x domains x seeds."""

import os
from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from pathlib import Path

from dassl.engine import TRAINER_REGISTRY

from ueo.clip import backbones
from ueo.errors import ConfigError, from_here
from ueo.grids.choices import (
    check_whole,
    config_name,
    dataset_class,
    dataset_yaml,
    output_name,
    trainer_names,
    trainer_yamls,
)
from ueo.grids.grid_settings import GridSettings, Place, PlannedRun
from ueo.label_space import parse_setting
from ueo.names import did_you_mean
from ueo.runs.configure import RunSettings, build_cfg
from ueo.runs.folder import OPTIMISER, takes_no_step
from ueo.settings import config
from ueo.settings.known_keys import ONLINE, OWN
from ueo.settings.options import pairs, quoted
from ueo.settings.refused import check_run
from ueo.settings.yaml_files import read_yaml
from ueo.text import shown

OPTION_OF = {  # keys that --set refuses, because names and inputs of a run depend on the option
    "TRAINER.NAME": "--trainers", "DATASET.PROTOCOL": "--protocol", "DATASET.SETTING": "--setting",
    "DATASET.TARGET_DOMAINS": "--domain", "MODEL.BACKBONE.NAME": "--backbone", "SEED": "--seed",
    "OUTPUT_DIR": "--output", "DATASET.ROOT": "--root",
}


def plan(settings: GridSettings, dataset: str) -> list[PlannedRun]:
    """Return all runs on one data set, in table order. Raise ConfigError for a wrong name."""
    for key, _ in pairs(settings.options, "--set"):
        if key in OPTION_OF:
            raise ConfigError(f"--set {key}: use {OPTION_OF[key]} instead")
        if key == "RESUME":
            raise ConfigError(f"--set {key}: each of many runs resumes from its own folder; leave "
                              "it out, or use train.py --resume for one run")
    if settings.protocol:
        OWN["DATASET"]["PROTOCOL"].checked(settings.protocol, "--protocol")
    kind, data = dataset_class(dataset), read_yaml(str(dataset_yaml(dataset)))
    backbone = settings.backbone or str(data.get("MODEL.BACKBONE.NAME", "RN50"))
    backbones.check_name(backbone)
    domains = _domains(settings, kind)
    spaces = dict.fromkeys(map(parse_setting, settings.setting)) or kind.settings
    seeds = list(dict.fromkeys(settings.seed or kind.seeds))
    runs = []
    for trainer in trainer_names(settings):
        deterministic = getattr(TRAINER_REGISTRY.get(trainer), "deterministic", False)
        deterministic = deterministic and settings.protocol != ONLINE  # its seed orders the stream
        each = product(spaces, domains, seeds[:1] if deterministic else seeds)
        of_trainer = _runs(settings, dataset, backbone, trainer, each)
        _resolve(of_trainer)
        runs += of_trainer
    _check_known(settings.options, runs)
    return runs


def _resolve(runs: list[PlannedRun]) -> None:
    """Fill in the configurations of one trainer's runs on one data set. They differ only in label
    space, domain and seed, so build one and copy it, which is a hundred times as fast."""
    if not runs:
        return
    first = runs[0].settings
    cfg = build_cfg(first)
    check_run(cfg, first.options, TRAINER_REGISTRY.get(first.trainer))
    for key in first.options[::2]:
        if key.startswith("ONLINE.") and not config.is_online(cfg):  # would only name the folder
            raise ConfigError(f"--set {key}: applies only with --protocol online; set that too, or "
                              "leave it out")
    shared = config.resolved(cfg) | {f"TEST.{key}": cfg.TEST[key] for key in OWN["TEST"]}
    for run in runs:
        asked = run.settings
        run.config.update(shared)
        run.config.update({"DATASET.SETTING": asked.setting, "SEED": asked.seed,
                           "DATASET.TARGET_DOMAINS": list(asked.domain)})


def _runs(settings: GridSettings, dataset: str, backbone: str, trainer: str,
          each: Iterable[tuple[str, str, int]]) -> list[PlannedRun]:
    """Return the runs of one trainer. each: (label space, domain, seed)."""
    name = output_name(dataset)
    own = replace(settings, options=_options_for(trainer, settings.options))
    config = config_name(backbone, own)
    grid = config_name(backbone, settings, trainer_names(settings))
    if settings.config_file:
        asked_for = (key for key, _ in pairs(settings.options, "--set"))
        besides = ("MODEL.BACKBONE.NAME", *read_yaml(str(dataset_yaml(dataset))), *asked_for)
        check_whole(Path(settings.config_file), trainer, besides)
        yamls = [settings.config_file]
    else:
        online = settings.protocol == ONLINE
        yamls = trainer_yamls(trainer, backbone, name, settings.recipe, online)
    shared = RunSettings(
        root=settings.root,
        trainer=trainer,
        config_file=tuple(yamls),
        dataset_config_file=str(dataset_yaml(dataset)),
        protocol=settings.protocol,
        path=settings.path,
        names=settings.names,
        recursive=settings.recursive,
        backbone=backbone,
        device=settings.device,
        threads=threads_of(settings),
        plugin=plugins_of(settings),
        overwrite=settings.overwrite,
        options=own.options,
    )
    runs = []
    for setting, domain, seed in each:
        place = Place.of(name, trainer, config, setting, domain, f"seed{seed}")
        folder = place.below(settings.output)
        asked = replace(shared, output_dir=str(folder), setting=setting, domain=(domain,),
                        seed=seed)
        label = shown(f"{trainer} {name} {setting} {domain} seed {seed}")
        runs.append(PlannedRun(asked, folder, label, place, grid))
    return runs


def threads_of(settings: GridSettings) -> int:
    """Return the CPU threads of each run: many runs share the cores."""
    return 0 if settings.device == "cuda" else 1


def plugins_of(settings: GridSettings) -> tuple[str, ...]:
    """Return absolute paths of the plug-ins, since a run may start in another folder."""
    return tuple(str(Path(file).absolute()) for file in settings.plugin)


def _options_for(trainer: str, options: tuple[str, ...]) -> tuple[str, ...]:
    """Return the KEY VALUE pairs without those of other trainers, and without the optimiser's if
    the trainer takes no step."""
    return tuple(
        part
        for key, value in pairs(options, "--set")
        if (_reads(trainer, key.split(".")[1]) if key.startswith("TRAINER.")
            else not (key.startswith(OPTIMISER) and takes_no_step(trainer)))
        for part in (key, value)
    )


def _reads(trainer: str, node: str) -> bool:
    """Whether a trainer may read TRAINER.<node>: its own node; or, for a trainer that declares no
    options, any node that no other trainer declares, as CoOp reads TRAINER.COOP."""
    declared = {name for name in TRAINER_REGISTRY.registered_names()
                if hasattr(TRAINER_REGISTRY.get(name), "defaults")}
    return node == trainer or trainer not in declared and node not in declared


def check_taken(options: tuple[str, ...], trainers: list[str]) -> None:
    """Raise ConfigError for an option of a trainer not in `trainers`: no run would get it."""
    for key in options[::2]:
        if key.startswith("TRAINER.") and not any(_reads(t, key.split(".")[1]) for t in trainers):
            raise ConfigError(f"--set {key}: {key.split('.')[1]} is not among --trainers: "
                              f"{', '.join(trainers)}")


def _check_known(options: tuple[str, ...], runs: list[PlannedRun]) -> None:
    """Raise ConfigError for an option that no run gets and no other trainer has. Optimiser options
    are checked even if no trainer takes a step."""
    if not runs:
        return
    taken = {key for run in runs for key in run.settings.options[::2]}
    for key, value in pairs(options, "--set"):
        if key in taken:
            continue
        if key.startswith(OPTIMISER):
            build_cfg(replace(runs[0].settings, options=(key, value)))
            continue
        name, known = key.split(".")[1], TRAINER_REGISTRY.registered_names()
        if name not in known:
            raise ConfigError(f"--set {quoted(key)[1:-1]}: there is no trainer {quoted(name)}"
                              f"{did_you_mean(name, known)}")


def _domains(settings: GridSettings, kind: type) -> list[str]:
    if getattr(kind, "own", False):
        if not settings.path:
            raise ConfigError("--path: name the folder of your images, or a file that lists them")
        there = getattr(kind, "is_there", lambda path: os.path.exists(os.path.expanduser(path)))
        if not there(settings.path):
            raise ConfigError(f"--path: {quoted(settings.path)} does not exist"
                              f"{from_here(settings.path)}")
        own = list(kind.targets_at(settings.path))
        if other := [domain for domain in settings.domain if domain not in own]:
            raise ConfigError(
                f"--domain {quoted(other[0])}: {settings.path} is one domain, {own[0]!r}; leave "
                "out --domain"
            )
        return own
    return list(dict.fromkeys(map(kind.domain_of, settings.domain))) or list(kind.targets)
