"""Which files to load: OUTPUT_DIR/<model name>/model.pth.tar-<epoch>, model-best.pth.tar."""

import os.path as osp
from math import isfinite

from dassl.utils import CheckpointReadError, MissingFileError
from dassl.utils.torchtools import BEST, POINTER, copy_best, last_checkpoint

from modern_dassl import distributed


def last_common(directory: str, names: list[str]) -> dict[str, str]:
    """{model: path of its checkpoint}, of the last epoch that all models have finished.

    A run that was killed while it saved leaves some models an epoch ahead. Raises MissingFileError
    when a model has no checkpoint of that epoch.
    """
    paths = {name: last_checkpoint(osp.join(directory, name)) for name in names}
    if len(names) == 1:
        return paths
    epoch = min(_epoch_of(path) for path in paths.values())
    return {name: weights_file(osp.join(directory, name), epoch) for name in names}


def weights_file(folder: str, epoch: int | None) -> str:
    """The checkpoint of an epoch in a model's folder; None: the best, or the last without one.

    Raises MissingFileError.
    """
    if epoch is not None:
        path = osp.join(folder, f"model.pth.tar-{epoch}")
    elif osp.isfile(osp.join(folder, POINTER)) and not osp.isfile(osp.join(folder, BEST)):
        return last_checkpoint(folder)
    else:
        path = osp.join(folder, BEST)
    if not osp.isfile(path):
        raise MissingFileError(f"{path}: no such model")
    return path


def bring_best(result: float, source: str, target: str, names: list[str]) -> float:
    """Take the best models so far along to the run that goes on: copy them from `source`, where it
    began, to `target`.

    result: theirs, not finite when no epoch was chosen. Returns it, and -inf where a model is
    missing: a result counts only together with its models.
    """
    paths = {name: osp.join(source, name, BEST) for name in names}
    if not isfinite(result):
        return result
    if not all(osp.isfile(path) for path in paths.values()):
        print(f"The best model so far is not in {source}: the next epochs are compared without it")
        return float("-inf")
    if distributed.is_main() and osp.realpath(source) != osp.realpath(target):
        for name, path in paths.items():
            copy_best(path, osp.join(target, name))
    return result


def _epoch_of(path: str) -> int:
    """The number that a checkpoint's name ends with. Raises CheckpointReadError without one."""
    number = path.rpartition("-")[2]
    if not number.isdecimal():
        raise CheckpointReadError(f"{path}: its name does not say of which epoch it is")
    return int(number)
