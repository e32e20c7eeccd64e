"""Read a file of weights, whoever saved it, as a state dict: without running code in it, and
without what is wrapped around the weights."""

import warnings
import zipfile
from pathlib import Path

import torch
from safetensors.torch import load_file

from modern_dassl.safe_load import RefusedError, read_checkpoint
from ueo.errors import CheckpointError, first_lines

WRAPPINGS = ("state_dict", "model_state_dict", "model", "module")  # keys in training checkpoints
PREFIXES = ("module.", "_orig_mod.", "clip_model.", "model.", "clip.")  # before every name
NO_WEIGHTS = ("input_resolution", "context_length", "vocab_size")  # in OpenAI's archive
PICKLED = "save the state dict of the model, torch.save(model.state_dict(), FILE)"
AGAIN = "fetch the file of weights itself"
BEGINNINGS = {  # first bytes of files that are no weights -> what they are, and what to do
    (b"version https://git-lfs",): "a pointer of Git LFS, not the file; `git lfs pull` fetches it",
    (b"<!", b"<html", b"<?xml"): f"a web page; {AGAIN}",
    (b'{"', b"{\n"): f"a text in JSON; {AGAIN}",
    (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF"): f"an image; {AGAIN}",
    (b"\x1f\x8b",): "a compressed archive; unpack it",
}


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Return the state dict of a file: OpenAI's archive, saved by torch, or safetensors. What is
    around the weights is left out, with a printed note. Raises CheckpointError, which says what the
    file is if that is known."""
    state, around = unwrapped(read_file(path), path)
    if around:
        print(f"{path}: ignored around the weights: {', '.join(around)}")
    return state


def unwrapped(content, path: Path) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Return (the state dict in the content of a file, what was around it). Raises CheckpointError
    if there is none."""
    around = []
    while isinstance(content, dict) and all(isinstance(name, str) for name in content):
        key = next((key for key in WRAPPINGS if isinstance(content.get(key), dict)), None)
        prefix = next((p for p in PREFIXES if content and all(n.startswith(p) for n in content)),
                      None)
        if key is not None:
            content = content[key]
            around.append(repr(key))
        elif prefix is not None:
            content = {name.removeprefix(prefix): value for name, value in content.items()}
            around.append(f"{prefix!r} before each name")
        else:
            return _checked(content, path), around
    raise CheckpointError(f"{path}: holds a {type(content).__name__}, no state dict; {PICKLED}")


def _checked(state: dict, path: Path) -> dict[str, torch.Tensor]:
    """Return `state` without NO_WEIGHTS. Raises CheckpointError if the rest are not tensors."""
    if {"state", "param_groups"} <= state.keys():
        raise CheckpointError(f"{path}: holds the state of an optimiser, no weights")
    if "_modules" in state:
        raise CheckpointError(f"{path}: holds a whole model, pickled, not its weights; {PICKLED}")
    state = {name: value for name, value in state.items() if name not in NO_WEIGHTS}
    for name, value in state.items():
        if not isinstance(value, torch.Tensor):
            raise CheckpointError(f"{path}: {name} is a {type(value).__name__}, not a tensor")
    return state


def read_file(path: Path):
    """Return the content of a file, tensors on the CPU. Raises CheckpointError if it is missing,
    damaged, no file of weights, or would run code."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if path.suffix == ".safetensors":
                return load_file(path)
            if zipfile.is_zipfile(path) and _in_archive(path, "constants.pkl"):
                return torch.jit.load(path, map_location="cpu").state_dict()
            return read_checkpoint(str(path))
    except RefusedError as error:
        raise CheckpointError(str(error)) from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # the errors of damaged files have no common base
        raise CheckpointError(f"{path}: {_no_weights(path, error.__cause__ or error)}") from error


def _in_archive(path: Path, ending: str) -> bool:
    """Whether a zip archive holds a file whose name has this ending. Archives of torch hold
    data.pkl, those of TorchScript also constants.pkl."""
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith(ending) for name in archive.namelist())


def _no_weights(path: Path, error: BaseException) -> str:
    with open(path, "rb") as file:
        head = file.read(64).lstrip()
    if not head:
        return f"is empty; {AGAIN}"
    if zipfile.is_zipfile(path) and not _in_archive(path, "data.pkl"):
        return "is a zip archive of other files; unpack it"
    for beginnings, what in BEGINNINGS.items():
        if head.startswith(beginnings):
            return f"is {what}"
    return (
        f"no file of weights, or a damaged one ({first_lines(error)}); OpenAI's archive, a state "
        "dict saved by torch, or safetensors is expected"
    )
