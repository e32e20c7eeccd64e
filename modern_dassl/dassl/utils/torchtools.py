"""Checkpoints on disk and pretrained weights; also re-exports layers.py under Dassl's names."""

import os
import os.path as osp
import shutil
import warnings
from collections import OrderedDict
from contextlib import contextmanager
from pathlib import Path

import torch
from dassl.utils.errors import (
    CheckpointReadError,
    CheckpointWriteError,
    ConfigValueError,
    MissingFileError,
)
from dassl.utils.layers import (  # noqa: F401  (their place in Dassl)
    count_num_param,
    init_network_weights,
    open_all_layers,
    open_specified_layers,
)
from dassl.utils.scheduler_state import load_plain_state
from dassl.utils.tools import mkdir_if_missing
from torch import nn

from modern_dassl.finite import first_not_finite
from modern_dassl.random_states import get_random_states
from modern_dassl.safe_load import UnreadableError, read_checkpoint

POINTER = "checkpoint"  # text file with the name of the last epoch's checkpoint
BEST = "model-best.pth.tar"


@contextmanager
def _written_whole(path: str):
    """Yield a temporary path beside `path`; rename it to `path` only if the block succeeds."""
    temporary = f"{path}.part"  # a fixed name, so killed runs leave at most one file
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        error.filename = error.filename or path  # a full disk names no file
        raise
    finally:
        if osp.exists(temporary):
            os.unlink(temporary)


def save_checkpoint(
    state: dict,
    save_dir: str,
    is_best: bool = False,
    remove_module_from_keys: bool = True,
    model_name: str = "",
) -> None:
    """Write `state` into `save_dir` atomically.

    state:      {"state_dict", "epoch" (number of finished epochs), ...}, plain data. If it has
                "optimizer", the random states are added, for a resumed run.
    model_name: name of the file, model.pth.tar-<epoch> by default.

    The pointer file names the last epoch, never a best model. With `is_best` the file is also
    copied to model-best.pth.tar.
    """
    mkdir_if_missing(save_dir)
    if remove_module_from_keys:
        state = {**state, "state_dict": _without_module(state["state_dict"])}
    if "optimizer" in state:
        state = {"random_states": get_random_states(), **state}
    name = model_name or f"model.pth.tar-{state['epoch']}"
    path = osp.join(save_dir, name)
    with _written_whole(path) as temporary:
        try:
            torch.save(state, temporary)
        except RuntimeError as error:
            raise CheckpointWriteError(
                f"{path}: not written, is the disk full? ({str(error).splitlines()[0]})"
            ) from error
    print(f"Checkpoint saved to {path}")
    if name != BEST:
        with _written_whole(osp.join(save_dir, POINTER)) as temporary:
            Path(temporary).write_text(f"{name}\n", encoding="utf-8")
    if is_best and name != BEST:
        copy_best(path, save_dir)
        print(f'Best checkpoint saved to "{osp.join(save_dir, BEST)}"')


def copy_best(path: str, save_dir: str) -> None:
    """Make the checkpoint at `path` the best one in `save_dir`."""
    mkdir_if_missing(save_dir)
    with _written_whole(osp.join(save_dir, BEST)) as temporary:
        shutil.copyfile(path, temporary)


def _without_module(state_dict) -> OrderedDict:
    """Remove the prefix "module." of DataParallel from keys."""
    return OrderedDict((key.removeprefix("module."), v) for key, v in state_dict.items())


def load_checkpoint(fpath: str):
    """Return the content of a checkpoint, with tensors on the CPU. No code in the file is run.

    Raise ConfigValueError for None, MissingFileError, CheckpointReadError.
    """
    if fpath is None:
        raise ConfigValueError("no checkpoint was named: the path is None")
    fpath = osp.abspath(osp.expanduser(fpath))
    if not osp.isfile(fpath):
        raise MissingFileError(f"{fpath}: no such checkpoint")
    try:
        return read_checkpoint(fpath)
    except UnreadableError as error:
        raise CheckpointReadError(str(error)) from error


def last_checkpoint(fdir: str) -> str:
    """Return the path of the last epoch's checkpoint in a folder, from the pointer file.

    Raise MissingFileError if the pointer or its file is missing.
    """
    pointer = osp.join(fdir, POINTER)
    if not osp.isfile(pointer):
        raise MissingFileError(f"{pointer}: no checkpoint to resume from")
    try:
        name = Path(pointer).read_text(encoding="utf-8").strip().replace("\0", "")
    except UnicodeDecodeError as error:
        raise MissingFileError(f"{pointer}: damaged, it names no checkpoint") from error
    path = osp.join(fdir, osp.basename(name))
    if not name or not osp.isfile(path):
        raise MissingFileError(f"{path}: no such checkpoint, though {pointer} names it")
    return path


def restore(checkpoint: dict, fpath: str, model, optimizer=None, scheduler=None, scaler=None):
    """Load the parts of a checkpoint into the given objects.

    Raise CheckpointReadError with `fpath` if a part is missing or does not fit.
    """
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("epoch"), int):
        raise CheckpointReadError(f"{fpath}: holds no epoch, so it is no checkpoint of a run")
    targets = {
        "state_dict": model, "optimizer": optimizer, "scheduler": scheduler, "scaler": scaler
    }
    for part, target in targets.items():
        if target is None:
            continue
        state = checkpoint.get(part)
        if part == "scaler" and not state:
            continue  # genuine Dassl saves none; a disabled scaler is empty
        if not isinstance(state, dict):
            raise CheckpointReadError(f"{fpath}: holds no {part}, so it cannot be resumed from")
        if part == "state_dict" and (name := first_not_finite(state)):
            raise CheckpointReadError(f"{fpath}: {name} holds NaN or infinity; its run diverged")
        try:
            (load_plain_state if part == "scheduler" else _load)(target, state)
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            detail = " ".join(str(error).split())[:300]
            raise CheckpointReadError(
                f"{fpath}: its {part} does not fit this run's ({detail})"
            ) from error


def _load(target, state: dict) -> None:
    target.load_state_dict(state)


def resume_from_checkpoint(fdir: str, model, optimizer=None, scheduler=None) -> int:
    """Load the last epoch's checkpoint in `fdir`; return the number of finished epochs.

    Raise MissingFileError, CheckpointReadError.
    """
    path = last_checkpoint(fdir)
    print(f'Loading checkpoint from "{path}"')
    checkpoint = load_checkpoint(path)
    restore(checkpoint, path, model, optimizer, scheduler)
    print(f"Previous epoch: {checkpoint['epoch']}")
    return checkpoint["epoch"]


def load_pretrained_weights(model: nn.Module, weight_path: str) -> None:
    """Load the tensors whose name and size fit; skip and report the others."""
    checkpoint = load_checkpoint(weight_path)
    wrapped = isinstance(checkpoint, dict) and "state_dict" in checkpoint
    weights = checkpoint["state_dict"] if wrapped else checkpoint
    if not isinstance(weights, dict):
        raise CheckpointReadError(f"{weight_path}: holds no weights by name")
    own = model.state_dict()
    weights = {k.removeprefix("module."): v for k, v in weights.items() if isinstance(k, str)}
    matched = {
        key: value for key, value in weights.items()
        if key in own and isinstance(value, torch.Tensor) and value.shape == own[key].shape
    }
    if not matched:
        warnings.warn(
            f"{weight_path}: no weight fits the model by name and size, nothing was loaded",
            stacklevel=2,
        )
        return
    model.load_state_dict({**own, **matched})
    print(f"Loaded pretrained weights from {weight_path}")
    left_out = [key for key in weights if key not in matched]
    if left_out:
        print(f"Left out, name or size does not fit: {left_out}")
