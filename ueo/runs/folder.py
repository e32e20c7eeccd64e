"""The folder of a run, where config.json holds the configuration and inputs it was started with.

A run in the folder counts as finished, or is resumed, only for the same configuration and inputs.
Messages name what differs.
"""

import os
import shutil
from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY
from dassl.engine import TRAINER_REGISTRY

from ueo import inputs
from ueo.clip.negatives.names import FILE as NEGATIVES
from ueo.errors import ConfigError, DataError
from ueo.files import read_json, write_json
from ueo.inputs import ENGINE, IMAGE_LIST, LABELS, OTHER_ENGINE, Inputs
from ueo.results.kept_outputs import FEATURES, has_kept
from ueo.results.paper.scores import PICTURES
from ueo.results.predictions import PREDICTIONS, SKIPPED
from ueo.results.record import HISTORY, OUTPUTS, RESULT, read_result
from ueo.runs.checkpoint import FACTS, MODEL, POINTER
from ueo.runs.current_inputs import data_inputs, method_inputs
from ueo.runs.online.partial_state import FILE as PARTIAL_STATE
from ueo.settings import config
from ueo.settings.discover import of_registered

STARTED, REPORT = "config.json", "report.html"
# other files of a run; removed with its record, or they would be taken for a later run's
RESULTS = (OUTPUTS, HISTORY, PREDICTIONS, SKIPPED, FEATURES, NEGATIVES, *PICTURES, FACTS, REPORT,
           PARTIAL_STATE)
# these keys and the seed decide which images a run was trained on
SPLIT_KEYS = ("DATASET.NUM_SHOTS", "DATASET.PROTOCOL", "DATASET.BAD_IMAGES")
OPTIMISER = "OPTIM."


def finished_result(
    folder: Path, flat: dict, found: Inputs | None, option: str, keep: bool = False,
    negatives: bool = False,
) -> dict | None:
    """Return the record of the finished run in `folder`; None if there is none, or if it lacks
    kept outputs that are asked for (keep, negatives: see has_kept).

    flat, found: the configuration and inputs it must have; found is None if the images are gone.
    Raises ConfigError if it has others; the message suggests another folder by `option`.
    """
    finished = read_result(folder)
    if finished is None:
        return None
    differs = config.difference(_deciding(finished["config"]), _deciding(flat))
    what = "configuration"
    if not differs and found is not None:
        differs, what = inputs.difference(finished["inputs"], found), "input"
    if differs:
        engines = {part.get(ENGINE) for part in (finished["inputs"], found or {})}
        remedy = f"; name another {option}, or pass --overwrite"
        if what == "input" and len(engines) > 1:
            remedy = OTHER_ENGINE
        raise ConfigError(
            f"{folder} holds a finished run of another {what} ({differs}){remedy}"
        )
    return None if keep and not has_kept(folder, negatives) else finished


def prepare_folder(cfg, overwrite: bool) -> bool:
    """Prepare the run's folder. Returns False if the run in it is already finished.

    An interrupted run of the same configuration and inputs is resumed (sets cfg.RESUME). Any other
    unfinished run is removed, with a message. Raises ConfigError for a finished run of another
    configuration or other inputs, which only `overwrite` removes.
    """
    folder, flat = Path(cfg.OUTPUT_DIR), config.resolved(cfg)
    found = _inputs_if_images_exist(cfg, folder, overwrite)
    if not overwrite and finished_result(
        folder, flat, found, "--output-dir", cfg.TEST.KEEP_OUTPUTS, cfg.TEST.KEEP_NEGATIVES
    ):
        return False
    started = {"config": flat, "inputs": found}
    pointers = list(folder.glob(f"*/{POINTER}"))
    earlier = _earlier(folder, overwrite)
    if (folder / RESULT).is_file() or not _may_resume(earlier, started, bool(pointers)):
        _clear(folder, pointers)
        write_json(folder / STARTED, started)
    elif pointers and not cfg.RESUME:
        cfg.defrost()
        cfg.RESUME = str(folder)
        cfg.freeze()
    if cfg.RESUME and Path(cfg.RESUME) != folder:
        _check_resumed(Path(cfg.RESUME), started)
    return True


def _clear(folder: Path, pointers: list[Path]) -> None:
    """Remove what a run left in `folder`, its checkpoints (which `pointers` name) included."""
    # checkpoints under other names are removed only if a run of ours began here
    ours = [p.parent for p in pointers if (folder / STARTED).is_file()]
    for models in (folder / MODEL, *ours):
        shutil.rmtree(models, ignore_errors=True)
    for name in (RESULT, *RESULTS):  # the record first: without it no run counts as finished
        (folder / name).unlink(missing_ok=True)


def _check_resumed(folder: Path, started: dict) -> None:
    """Raise ConfigError if the run in `folder` was started with something else."""
    earlier = read_started(folder)
    if earlier is None:
        print(f"{folder}: holds no {STARTED}, so its settings are not compared; it is resumed")
    elif why := _difference(earlier, started):
        raise ConfigError(f"--resume {folder}: was started with something else ({why})")


def _inputs_if_images_exist(cfg, folder: Path, overwrite: bool) -> Inputs | None:
    """Return the run's inputs; None, with a message, if it is finished and its images are gone."""
    try:
        return {**data_inputs(cfg, prepare=True), **method_inputs(cfg, prepare=True)}
    except DataError as error:
        if overwrite or not (folder / RESULT).is_file():
            raise
        print(f"The finished run is not compared with its images: {error}")
        return None


def _earlier(folder: Path, overwrite: bool) -> dict | None:
    try:
        return read_started(folder)
    except DataError:
        if overwrite:
            return None
        raise


def _may_resume(earlier: dict | None, started: dict, begun: bool) -> bool:
    """Whether an interrupted run can be resumed. Prints why not if it has checkpoints (`begun`)."""
    if earlier is None:
        return False
    why = _difference(earlier, started)
    flat = started["config"]
    if not why and flat["SEED"] < 0 and flat["DATASET.NUM_SHOTS"] > 0:
        why = "without a seed its labelled images cannot be drawn again"
    if why and begun:
        print(f"An interrupted run is not resumed: {why}")
    return not why


def _difference(earlier: dict, started: dict) -> str:
    """Describe what differs between the starts of two runs; "" if nothing does."""
    configs = (_deciding(run["config"]) for run in (earlier, started))
    return config.difference(*configs) or inputs.difference(earlier["inputs"], started["inputs"])


def takes_no_step(trainer: str) -> bool:
    """Whether a trainer is training-free; False for an unknown one."""
    return of_registered(TRAINER_REGISTRY, trainer, "training_free", False)


def _deciding(flat: dict) -> dict:
    """Return the keys that results depend on; for a training-free trainer without the
    optimiser's."""
    idle = (OPTIMISER,) * takes_no_step(flat["TRAINER.NAME"])
    return {key: value for key, value in flat.items()
            if config.decides(key) and not key.startswith(idle)}


def read_started(folder: str | Path) -> dict | None:
    """{"config": ..., "inputs": ...} of the run in `folder`; None if none was started there.

    Raises DataError for a file that is damaged or of an earlier version.
    """
    path = Path(folder, STARTED)
    try:
        found = read_json(path, dict, "remove it, run again")
    except FileNotFoundError:
        return None
    if not all(isinstance(found.get(part), dict) for part in ("config", "inputs")):
        raise DataError(
            f"{path}: does not say what the run was started with, so it is of an earlier version "
            "or was edited; pass --overwrite, or name another --output-dir"
        )
    return found


def follow_run(cfg, folder: str, given: set[str]) -> None:
    """Copy to `cfg` what decided which images the run in `folder` was trained on, so that none of
    them is tested when its model is evaluated on its own domain. Do nothing for another domain.

    given: the keys set by hand. Raises ConfigError if one of them, or a change of the images, would
    put training images into the test set.
    """
    started = read_started(folder)
    if started is None:
        print(f"{folder}: holds no {STARTED}, so seed, shots and protocol are those given here")
        return
    theirs, ours = started["config"], config.resolved(cfg)
    if _place(theirs) != _place(ours):
        return
    shots = theirs["DATASET.NUM_SHOTS"] > 0
    if shots and theirs["SEED"] < 0:
        raise ConfigError(
            f"--model-dir {folder}: was trained without a seed, so its labelled images cannot be "
            "told from the test images; train it with --seed"
        )
    cfg.defrost()
    for key in (*SPLIT_KEYS, *(["SEED"] if shots else [])):
        if theirs[key] == ours[key]:
            continue
        if key in given:
            raise ConfigError(
                f"{key} {ours[key]!r}: the run in {folder} was trained with {theirs[key]!r}, so "
                "images that it was trained on would be tested; leave it out"
            )
        print(f"{key} {theirs[key]!r}, as in {folder}")
        config.put(cfg, key, theirs[key])
    if shots:  # training has decided whether classes may lack test images
        config.put(cfg, "DATASET.UNTESTED_CLASSES", "allow")
    cfg.freeze()
    now = data_inputs(cfg, prepare=True)
    differs = [k for k in (IMAGE_LIST, LABELS) if started["inputs"].get(k) != now[k]]
    if differs and shots:
        raise ConfigError(
            f"--model-dir {folder}: {' and '.join(differs)} changed since it was trained, so its "
            "labelled images cannot be told from the test images"
        )


def _place(flat: dict) -> tuple[str, str, list[str]]:
    """(data set, path of own images, domains) of a configuration, in a normal form."""
    name, path = flat["DATASET.NAME"], flat.get("DATASET.PATH")
    if path:  # which is one domain
        return name, os.path.realpath(os.path.expanduser(path)), []
    spelt = of_registered(DATASET_REGISTRY, name, "domain_of", str)
    return name, "", [spelt(domain) for domain in flat["DATASET.TARGET_DOMAINS"]]
