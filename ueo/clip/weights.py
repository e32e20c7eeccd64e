"""Files of CLIP weights: OpenAI's JIT archive, a state dict saved by torch, or safetensors."""

import pickle
import warnings
import zipfile
from pathlib import Path

import torch
from safetensors.torch import load_file

from modern_dassl.finite import first_not_finite
from ueo.errors import CheckpointError

VOCABULARY = 49408  # OpenAI's tokenizer
WRAPPED = "module."  # what torch's DataParallel puts before each name
MARKS = ("visual.proj", "visual.attnpool.c_proj.weight")  # of OpenAI's ViT and ResNet
OTHERS = {  # beginnings of names in layouts that are not read
    "vision_model.": "Hugging Face's CLIPModel",
    "visual.trunk.": "open_clip's with a timm tower",
    "text.transformer.": "open_clip's with a tower of its own for text",
    "visual_encoder.": "BLIP's",
}
PICKLED = "save the state dict of the model, torch.save(model.state_dict(), FILE)"


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """State dict in OpenAI's layout, with the tiny CLIP's compact vocabulary spread out.

    Raises CheckpointError, which says what the file is where that can be told.
    """
    state = _read(path)
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise CheckpointError(f"{path}: holds a {type(state).__name__}, no state dict; {PICKLED}")
    if isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if state and all(name.startswith(WRAPPED) for name in state):
        print(f"{path}: names of weights begin with {WRAPPED!r}, which is left out")
        state = {name.removeprefix(WRAPPED): value for name, value in state.items()}
    for key in ("input_resolution", "context_length", "vocab_size"):
        state.pop(key, None)
    _check(state, path)
    return _expand_vocabulary(state)


def _read(path: Path):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if path.suffix == ".safetensors":
                return load_file(path)
            if _is_jit_archive(path):
                return torch.jit.load(path, map_location="cpu").state_dict()
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file") from error
    except pickle.UnpicklingError as error:
        if "Unsupported" not in str(error) and "GLOBAL" not in str(error):
            raise CheckpointError(f"{path}: {_no_weights(error)}") from error
        raise CheckpointError(
            f"{path}: holds pickled objects, such as a whole model, which could run a program and "
            f"are not read; {PICKLED}"
        ) from error
    except Exception as error:  # what a damaged file makes of a reader has no common base
        raise CheckpointError(f"{path}: {_no_weights(error)}") from error


def _no_weights(error: Exception) -> str:
    return (
        f"no file of weights, or a damaged one ({first_line(error)}); it takes OpenAI's archive, a "
        "state dict saved by torch, or safetensors"
    )


def _check(state: dict, path: Path) -> None:
    """Raise CheckpointError for another layout and for weights that are not finite numbers."""
    wrong = next((n for n, v in state.items() if not isinstance(v, torch.Tensor)), None)
    if wrong is not None:
        raise CheckpointError(f"{path}: {wrong} is no tensor but a {type(state[wrong]).__name__}")
    for start, layout in OTHERS.items():
        if any(name.startswith(start) for name in state):
            raise CheckpointError(
                f"{path}: the names of its weights are {layout} ({start}...), not OpenAI's "
                "(visual.conv1.weight, ...); convert it"
            )
    if not any(mark in state for mark in MARKS):
        some = ", ".join(list(state)[:3]) or "no name at all"
        raise CheckpointError(
            f"{path}: holds no OpenAI CLIP model; it lacks {' and '.join(MARKS)}, and holds {some}"
        )
    if name := first_not_finite(state):
        raise CheckpointError(f"{path}: {name} holds NaN or infinity; these weights are of no use")


def _is_jit_archive(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("constants.pkl") for name in archive.namelist())


def _expand_vocabulary(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Scatter the embedding rows of the tokens that were trained into the whole vocabulary."""
    ids = state.pop("token_embedding.ids", None)
    if ids is not None:
        rows = state["token_embedding.weight"]  # (tokens used, width)
        full = torch.zeros(VOCABULARY, rows.shape[1], dtype=rows.dtype)
        full[ids.long()] = rows
        state["token_embedding.weight"] = full
    return state


def first_line(error: Exception) -> str:
    """The beginning of a message in one line, or the error's type where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2]) if lines else type(error).__name__
