"""Find checkpoints: OUTPUT_DIR/<model name>/model.pth.tar-<epoch>, model-best.pth.tar."""

import os.path as osp
from math import isfinite

from dassl.utils import CheckpointReadError, MissingFileError
from dassl.utils.torchtools import BEST, POINTER, copy_best, last_checkpoint

from modern_dassl import distributed


def last_common(directory: str, names: list[str]) -> dict[str, str]:
    """Return {model: path of its checkpoint} of the last epoch that all models have finished.

    If a run is killed while it saves, some models are an epoch ahead. Raise MissingFileError if a
    model has no checkpoint of that epoch.
    """
    paths = {name: last_checkpoint(osp.join(directory, name)) for name in names}
    if len(names) == 1:
        return paths
    epoch = min(_epoch_of(path) for path in paths.values())
    return {name: weights_file(osp.join(directory, name), epoch) for name in names}


def weights_file(folder: str, epoch: int | None) -> str:
    """Return the checkpoint of an epoch in a model's folder; for None the best one, or the last if
    there is no best. Raise MissingFileError.
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
    """Copy the best models so far from `source`, the folder of the interrupted run, to `target`.

    result: of these models, not finite if no epoch was chosen. Return it, or -inf if a model is
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
    """Return the epoch in a checkpoint's name. Raise CheckpointReadError if there is none."""
    number = path.rpartition("-")[2]
    if not number.isdecimal():
        raise CheckpointReadError(f"{path}: its name does not contain the epoch")
    return int(number)
