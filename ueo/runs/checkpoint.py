"""Load what a run has tuned from its checkpoint, whichever engine wrote it; and mix weights.

Beside the checkpoint, model.json says what the model needs to be built again without its images.
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
from ueo.names import did_you_mean
from ueo.open_set import RULE, separation, thresholds
from ueo.results.record import MODEL_FACTS as FACTS
from ueo.settings.options import quoted

BEST, POINTER = "model-best.pth.tar", "checkpoint"  # names that Dassl gives
NEEDED = {"class_names": list, "template": str, "images": dict, "thresholds": dict, "rule": str,
          "separation": float, "score": str, "weights": str | None, "independent": bool,
          "trained": bool}
GIVEN, NO_THRESHOLD = "given", "none"  # rules of a threshold that was asked for
ALONE = "alone"  # of images that are predicted one by one: those facts that differ from the run's
MODEL = "tuned"  # folder of a run's checkpoints: they hold the tuned parameters alone


def load_tuned(module: nn.Module, folder: Path, epoch: int | None = None) -> int:
    """Load the tuned parameters after `epoch` epochs; None: of the best one, or the last without.
    Returns the number of finished epochs.

    Raises CheckpointError for a file that is missing, damaged or of another model.
    """
    path = checkpoint_file(folder, epoch)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such model")
    try:
        found = dict(load_checkpoint(str(path)))
        state, finished = dict(found["state_dict"]), int(found["epoch"])
    except Exception as error:  # what a damaged file makes of a reader has no common base
        why = first_lines(error).removeprefix(f"{path.absolute()}: ")
        raise CheckpointError(f"{path}: damaged, or not a checkpoint of Dassl's ({why})") from error
    if name := first_not_finite(state):
        raise CheckpointError(f"{path}: {name} holds NaN or infinity; its run diverged")
    try:
        module.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path}: does not fit this configuration ({first_lines(error)})"
        ) from error
    print(f"Load {path} (epoch={finished})")
    return finished


def mixed(start: dict[str, Tensor], tuned: dict[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """(1 - alpha) * start + alpha * tuned, parameter by parameter; exact at 0 and 1 (WiSE-FT,
    Wortsman et al., CVPR 2022, Eq. 1). What is no number with a fraction is that of `tuned`."""
    return {
        name: torch.lerp(start[name], value, alpha) if value.is_floating_point() else value
        for name, value in tuned.items()
    }


def models_of(run: Path) -> Path:
    """Folder of a run's checkpoints: MODEL of our own, or `prompt_learner` and the like of CoOp's
    family, where it is the only folder that holds any."""
    found = {path.parent for path in run.glob("*/model*.pth.tar*")}
    return found.pop() if len(found) == 1 and not (run / MODEL).is_dir() else run / MODEL


def checkpoint_file(folder: Path, epoch: int | None = None) -> Path:
    """The file of the model after `epoch` epochs; None: of the best one, or the last without."""
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
    """model.json of the run in `folder`. Raises CheckpointError where it is missing or another's.
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
    if wrong:
        raise CheckpointError(
            f"{path}: {', '.join(wrong)} missing or of another kind, so it is of another version; "
            "train the model again"
        )
    return facts


def threshold_facts(outputs: dict[str, np.ndarray], alone: np.ndarray | None) -> dict:
    """The facts that decide which images are known, from scores of the unlabelled images.

    outputs: the run's; alone: (images,), their scores by the kept model where it sees each image by
    itself, None where the run's own scores are such.
    """
    after, before = (outputs[f"unlabelled_scores_{when}"] for when in ("after", "before"))
    own, *other = ({"thresholds": thresholds(scores, before), "separation": separation(scores)}
                   for scores in (after, alone) if scores is not None)
    return {"rule": RULE, **own, **({ALONE: other[0]} if other not in ([], [own]) else {})}


def of_new_images(facts: dict) -> dict:
    """These facts, with the thresholds of images that are predicted one by one."""
    return {**{key: value for key, value in facts.items() if key != ALONE}, **facts.get(ALONE, {})}


def chosen_threshold(facts: dict) -> float | None:
    """The least score of a known image, by the rule of these facts; None where all are known."""
    return facts["thresholds"][facts["rule"]]


def with_threshold(facts: dict, asked: str) -> dict:
    """`facts` with the threshold that was asked for: by its rule, as a number, or NO_THRESHOLD for
    every image known; "" for the run's own. Raises ConfigError for what is none of these."""
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
