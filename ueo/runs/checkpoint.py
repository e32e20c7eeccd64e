"""Load tuned parameters from a run's checkpoint, whichever engine wrote it; and mix weights.

model.json, in the run's folder, holds what is needed to rebuild the model without images.
"""

import math
import re
from pathlib import Path

import numpy as np
import torch
from dassl.utils import load_checkpoint
from torch import Tensor, nn

from modern_dassl.finite import first_not_finite
from ueo.errors import CheckpointError, ConfigError, first_lines, from_here
from ueo.files import read_json
from ueo.images.hashes import short_hash
from ueo.names import did_you_mean
from ueo.open_set import RULE, separation, thresholds
from ueo.results.record import MODEL_FACTS as FACTS
from ueo.scores import AGAINST_NAMES, SCORES
from ueo.settings.options import quoted

BEST, POINTER = "model-best.pth.tar", "checkpoint"  # Dassl's names
NEEDED = {"class_names": list, "template": str, "images": dict, "thresholds": dict, "rule": str,
          "separation": float, "score": str, "weights": str | None, "independent": bool,
          "trained": bool}
GIVEN, NO_THRESHOLD = "given", "none"  # rules of a threshold that the user sets
ALONE = "alone"  # the facts that differ for images that are predicted one by one
NAMES_HASH = "class_names_hash"  # reveals names that were edited
MODEL = "tuned"  # folder of a run's checkpoints, which hold tuned parameters and buffers


def load_tuned(module: nn.Module, folder: Path, epoch: int | None = None) -> int:
    """Load the checkpoint of `epoch` into `module`; None: the best one if there is one, else
    the last. Returns the number of finished epochs.

    Raises CheckpointError for a file that is missing, damaged or of another model.
    """
    path = checkpoint_file(folder, epoch)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such model")
    try:
        found = dict(load_checkpoint(str(path)))
        state, finished = dict(found["state_dict"]), int(found["epoch"])
    except Exception as error:  # a damaged file may raise anything
        why = first_lines(error).removeprefix(f"{path.absolute()}: ")
        raise CheckpointError(f"{path}: damaged, or not a checkpoint of Dassl's ({why})") from error
    try:
        module.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path}: does not fit this configuration ({first_lines(error)})"
        ) from error
    if name := first_not_finite(module.state_dict()):  # in the module's precision
        raise CheckpointError(f"{path}: {name} holds NaN or infinity; its run diverged")
    print(f"Load {path} (epoch={finished})")
    return finished


def mixed(start: dict[str, Tensor], tuned: dict[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """(1 - alpha) * start + alpha * tuned, parameter by parameter; exact at 0 and 1 (WiSE-FT,
    Wortsman et al., CVPR 2022, Eq. 1). Tensors of integers are those of `tuned`."""
    return {
        name: torch.lerp(start[name], value, alpha) if value.is_floating_point() else value
        for name, value in tuned.items()
    }


def models_of(run: Path) -> Path:
    """Return the folder of a run's checkpoints: MODEL, or that of the CoOp family (such as
    `prompt_learner`) if it is the only one with checkpoints."""
    found = {path.parent for path in run.glob("*/model*.pth.tar*")}
    return found.pop() if len(found) == 1 and not (run / MODEL).is_dir() else run / MODEL


def checkpoint_file(folder: Path, epoch: int | None = None) -> Path:
    """Return the checkpoint file of `epoch`; None: the best one if there is one, else the last."""
    if epoch is not None:
        return folder / f"model.pth.tar-{epoch}"
    pointer = folder / POINTER
    if (folder / BEST).is_file() or not pointer.is_file():
        return folder / BEST
    try:
        name = pointer.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{pointer}: cannot be read; name an epoch of its folder") from error
    if not re.fullmatch(r"model\.pth\.tar-[0-9]+", name):
        raise CheckpointError(
            f"{pointer}: names no checkpoint of its folder but {quoted(name)}; name an epoch"
        )
    return folder / name


def read_facts(folder: str | Path) -> dict:
    """Read model.json of the run in `folder`. Raises CheckpointError if it is missing or invalid.
    """
    path = Path(folder, FACTS)
    try:
        facts = read_json(path, dict, "train the model again")
    except FileNotFoundError as error:
        why = f"holds no {FACTS}"
        if not Path(folder).is_dir():
            why = f"is no folder{from_here(str(folder))}"
        raise CheckpointError(
            f"{folder}: {why}; name the folder of a finished run, the one with result.json"
        ) from error
    wrong = [key for key, kind in NEEDED.items() if not isinstance(facts.get(key), kind)]
    wrong = wrong or [key for key, fits in _FITTING.items() if not fits(facts)]
    if wrong:
        raise CheckpointError(
            f"{path}: {', '.join(wrong)} missing or of another kind, so it is of another version; "
            "train the model again"
        )
    if facts.get(NAMES_HASH) not in (None, short_hash(facts["class_names"])):
        raise CheckpointError(
            f"{path}: class_names were edited, and the prompts and the threshold depend on them; "
            "restore them (to show others, change the predictions), or adapt with other names"
        )
    return facts


def _has_thresholds(facts: dict) -> bool:
    """Whether there is a threshold, a number or None, of the rule in `facts` and of all others."""
    found = facts["thresholds"]
    return facts["rule"] in found and all(
        value is None or (isinstance(value, int | float) and math.isfinite(value))
        for value in found.values())


def _fits_alone(facts: dict) -> bool:
    alone = facts.get(ALONE)
    if alone is None:
        return True
    return isinstance(alone, dict) and all(
        isinstance(value, NEEDED.get(key, object)) for key, value in alone.items()
    ) and _has_thresholds({**facts, **alone})


_FITTING = {  # what the values of these types must be, too
    "class_names": lambda facts: facts["class_names"] and all(
        isinstance(name, str) for name in facts["class_names"]),
    "images": lambda facts: all(type(n) is int and n >= 0 for n in facts["images"].values()),
    "thresholds": _has_thresholds,
    ALONE: _fits_alone,
    "score": lambda facts: facts["score"] in (*SCORES, *AGAINST_NAMES),
}


def threshold_facts(outputs: dict[str, np.ndarray], alone: np.ndarray | None) -> dict:
    """Return the facts that decide which images count as known, from scores of unlabelled images.

    outputs: the run's; alone: (images,), their scores when the saved model sees each image by
    itself; None if the run's scores are already such.
    """
    after, before = (outputs[f"unlabelled_scores_{when}"] for when in ("after", "before"))
    own, *other = ({"thresholds": thresholds(scores, before), "separation": separation(scores)}
                   for scores in (after, alone) if scores is not None)
    return {"rule": RULE, **own, **({ALONE: other[0]} if other not in ([], [own]) else {})}


def of_new_images(facts: dict) -> dict:
    """Return `facts` with the thresholds for images that are predicted one by one."""
    return {**{k: v for k, v in facts.items() if k != ALONE}, **(facts.get(ALONE) or {})}


def chosen_threshold(facts: dict) -> float | None:
    """Return the lowest score that counts as known, by the rule in `facts`; None: all do."""
    return facts["thresholds"][facts["rule"]]


def with_threshold(facts: dict, asked: str) -> dict:
    """Return `facts` with the threshold `asked`: a rule, a number, NO_THRESHOLD (every image is
    known) or "" (the run's own). Raises ConfigError for anything else."""
    rules = facts["thresholds"]
    if not asked or asked in rules:
        return {**facts, "rule": asked or facts["rule"]}
    if asked == NO_THRESHOLD:
        return {**facts, "thresholds": {**rules, asked: None}, "rule": asked}
    try:
        number = float(asked)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(
            f"--threshold {asked!r}: is neither a number nor a rule{did_you_mean(asked, rules)}; "
            f"rules: {', '.join([*rules, NO_THRESHOLD])}"
        )
    return {**facts, "thresholds": {**rules, GIVEN: number}, "rule": GIVEN}
