"""OpenAI's published weights by name, a local file in their layout, or the embedded tiny CLIP."""

import http.client
import os
from pathlib import Path

import clip
import torch
from clip.model import CLIP, build_model

from ueo.clip.towers.interface import Backbone
from ueo.clip.towers.openai import wrap
from ueo.clip.weights import read_weights
from ueo.errors import CheckpointError, first_lines
from ueo.files import asset, sha256
from ueo.temporaries import temporary_folder

TINY = "TinyCLIP"
OTHERS = ("open_clip", "laion", "datacomp", "commonpool")  # in names of files of other weights


def published() -> list[str]:
    """Return the names of OpenAI's backbones."""
    return clip.available_models()


def address(name: str) -> str:
    """Return the address at which OpenAI publishes the weights of a backbone."""
    return clip.clip._MODELS[name]


def file_names() -> list[str]:
    """Return the file names of OpenAI's published weights: "ViT-B-16.pt", ..."""
    return [Path(address(name)).name for name in published()]


def published_hash(name: str) -> str:
    """Return the published SHA-256 of the weights, in hexadecimal digits."""
    return Path(address(name)).parent.name


def weights_file(name: str) -> Path:
    """Return where the weights are, or will be after a download."""
    if name in published():
        return Path(os.path.expanduser("~/.cache/clip"), Path(address(name)).name)
    return asset("tiny_clip.safetensors") if name == TINY else Path(name)


def absent(name: str) -> str:
    """Return which file is missing and how to get it, in words; "" if none is."""
    file = weights_file(name)
    return "" if name not in published() or file.is_file() else (
        f"{file} is missing: the first run that needs it downloads it, or download {address(name)} "
        "by hand")


def download(name: str) -> Path:
    """Return the verified file of an OpenAI backbone; download it into clip's cache if missing.

    The file appears atomically, even if several processes download it at once.
    """
    target, there = weights_file(name), ""
    try:
        if target.is_file():
            if sha256(target) == published_hash(name):
                return target
            there = " in place of the file there, which is damaged, cut off or another"
        with temporary_folder(target.parent, f".{target.stem}-") as folder:
            os.replace(clip.clip._download(address(name), str(folder)), target)
        return target
    except (OSError, http.client.HTTPException, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"the weights of {name} could not be downloaded ({error}); fetch {address(name)} "
            f"by hand and put it at {target}{there}"
        ) from error


def load(name: str, precision: str, weights: dict[str, torch.Tensor] | None = None) -> Backbone:
    """Load the backbone on the CPU. precision, weights: see ueo/clip/backbones.py."""
    if weights is None:
        weights = read_weights(download(name) if name in published() else weights_file(name))
        _warn_of_other_weights(name)
    model = _build(weights, name)
    if precision != "fp16":
        model.float()
        model.load_state_dict(weights)  # build_model rounded them to half precision
    return wrap(model)


def _warn_of_other_weights(name: str) -> None:
    """Print a warning if a file's name suggests weights trained with GELU; tensors cannot tell."""
    path = weights_file(name).absolute()
    told = [path.name, *(part for part in path.parts if part.startswith("models--"))]  # hub cache
    told = " ".join(told).lower()
    if any(mark in told for mark in OTHERS) and "quickgelu" not in told:
        print(f"{name}: by its name these are weights of open_clip's; a file is read as OpenAI's "
              "architecture, with QuickGELU. If they were trained with GELU, as most of LAION's "
              f"and DataComp's, name open_clip:MODEL/{name}, such as open_clip:ViT-B-16/{name}")


def _build(state: dict[str, torch.Tensor], name: str) -> CLIP:
    try:
        return build_model(dict(state))
    except Exception as error:  # wrong keys or shapes raise errors of half a dozen types
        raise CheckpointError(
            f"{name}: its tensors make no OpenAI CLIP model ({first_lines(error)})"
        ) from error
