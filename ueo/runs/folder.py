"""What a run was started with: config.json in its folder holds its configuration and its inputs.

What is in a folder counts as finished, or is resumed, only for the same configuration and the same
inputs; a difference is said by its name.
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
from ueo.runs.online.under_way import FILE as UNDER_WAY
from ueo.settings import config
from ueo.settings.discover import of_registered

STARTED, REPORT = "config.json", "report.html"
# what else a run leaves; what is older than its record would be taken for its own
RESULTS = (OUTPUTS, HISTORY, PREDICTIONS, SKIPPED, FEATURES, NEGATIVES, *PICTURES, FACTS, REPORT,
           UNDER_WAY)
# what decides which images a run was trained on, besides its seed
SPLIT_KEYS = ("DATASET.NUM_SHOTS", "DATASET.PROTOCOL", "DATASET.BAD_IMAGES")
OPTIMISER = "OPTIM."


def finished_result(
    folder: Path, flat: dict, found: Inputs | None, option: str, keep: bool = False,
    negatives: bool = False,
) -> dict | None:
    """The record of a finished run of this configuration and these inputs in `folder`; None if
    there is none, or if it has not kept the outputs (keep, negatives: see has_kept) asked for.

    found: None where the images are not there to be compared. Raises ConfigError, which tells to
    name another folder with `option`, for a record of another configuration or of other inputs.
    """
    finished = read_result(folder)
    if finished is None:
        return None
    differs = config.difference(_that_count(finished["config"]), _that_count(flat))
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
    """Make the run's folder ready; False when the run in it is finished already.

    What an interrupted run of the same configuration and inputs left is resumed (cfg.RESUME is
    set); what another left unfinished is cleared, and this is said. A finished run of another
    configuration or of other inputs is an error: nothing finished is lost unless `overwrite`.
    """
    folder, flat = Path(cfg.OUTPUT_DIR), config.resolved(cfg)
    found = _inputs_of_images_there(cfg, folder, overwrite)
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
    # checkpoints of other names go only where a run of ours has begun
    ours = [p.parent for p in pointers if (folder / STARTED).is_file()]
    for models in (folder / MODEL, *ours):
        shutil.rmtree(models, ignore_errors=True)
    for name in (RESULT, *RESULTS):  # the record first: without it nothing counts as finished
        (folder / name).unlink(missing_ok=True)


def _check_resumed(folder: Path, started: dict) -> None:
    """Raise ConfigError where the run in `folder` was started with something else."""
    earlier = read_started(folder)
    if earlier is None:
        print(f"{folder} does not say what it was started with ({STARTED}); it is resumed as it is")
    elif why := _difference(earlier, started):
        raise ConfigError(f"--resume {folder}: was started with something else ({why})")


def _inputs_of_images_there(cfg, folder: Path, overwrite: bool) -> Inputs | None:
    """The run's inputs; None where it is finished and its images are gone, which is said."""
    try:
        return {**data_inputs(cfg, prepare=True), **method_inputs(cfg, prepare=True)}
    except DataError as error:
        if overwrite or not (folder / RESULT).is_file():
            raise
        print(f"Not compared with its images: {error}")
        return None


def _earlier(folder: Path, overwrite: bool) -> dict | None:
    try:
        return read_started(folder)
    except DataError:
        if overwrite:
            return None
        raise


def _may_resume(earlier: dict | None, started: dict, begun: bool) -> bool:
    """Whether what an interrupted run left belongs to this one; says why not where it had begun."""
    if earlier is None:
        return False
    why = _difference(earlier, started)
    flat = started["config"]
    if not why and flat["SEED"] < 0 and flat["DATASET.NUM_SHOTS"] > 0:
        why = "without a seed its labelled images cannot be drawn again"
    if why and begun:
        print(f"What an interrupted run left is not used: {why}")
    return not why


def _difference(earlier: dict, started: dict) -> str:
    """What two runs were started with that differs, in words; "" where nothing does."""
    configs = (_that_count(run["config"]) for run in (earlier, started))
    return config.difference(*configs) or inputs.difference(earlier["inputs"], started["inputs"])


def takes_no_step(trainer: str) -> bool:
    """Whether a trainer's method is training-free; False for one that is not known."""
    return of_registered(TRAINER_REGISTRY, trainer, "training_free", False)


def _that_count(flat: dict) -> dict:
    """The part of a configuration that results depend on: of a trainer that takes no step, all but
    the optimiser's."""
    idle = (OPTIMISER,) * takes_no_step(flat["TRAINER.NAME"])
    return {key: value for key, value in flat.items()
            if config.decides(key) and not key.startswith(idle)}


def read_started(folder: str | Path) -> dict | None:
    """{"config": ..., "inputs": ...} of the run in `folder`; None where none was started.

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
    """Before the model of the run in `folder` is evaluated on its own domain: take over what
    decided which images it was trained on, so that none of them is tested.

    given: the keys that the user set by hand. Raises ConfigError where one of them, or the images
    that are there now, would put training images into the test set.
    """
    started = read_started(folder)
    if started is None:
        print(f"{folder} does not say what it was trained on ({STARTED}); seed, shots and protocol "
              "are those given here")
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
    if shots:  # whether the run may lack test images was decided when it was trained
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
    """(data set, path of images of one's own, domains) of a configuration, in one spelling."""
    name, path = flat["DATASET.NAME"], flat.get("DATASET.PATH")
    if path:  # which is one domain
        return name, os.path.realpath(os.path.expanduser(path)), []
    spelt = of_registered(DATASET_REGISTRY, name, "domain_of", str)
    return name, "", [spelt(domain) for domain in flat["DATASET.TARGET_DOMAINS"]]
