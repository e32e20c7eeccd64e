"""Load CLIP: OpenAI's published weights by name, a local file, or the embedded tiny CLIP.

Everything ends as OpenAI's `clip.model.CLIP`, so that one code path serves all backbones.
"""

import http.client
import math
import os
import warnings
import zipfile
from functools import lru_cache
from pathlib import Path

import clip
import torch
from clip.model import CLIP, build_model
from safetensors.torch import load_file

from ueo.errors import CheckpointError, ConfigError
from ueo.files import asset, sha256
from ueo.names import nearest
from ueo.temporaries import temporary_folder

TINY = "TinyCLIP"
VOCABULARY = 49408  # OpenAI's tokenizer
PRECISIONS = ("fp16", "fp32", "amp")


def available_backbones() -> list[str]:
    """Names that `load_clip` takes besides a path."""
    return [*clip.available_models(), TINY]


def load_clip(name: str, precision: str, device: torch.device | str = "cpu") -> CLIP:
    """The model in eval mode with frozen parameters, on `device`.

    name:      one of `available_backbones()` or the path of a file: OpenAI's JIT archive, a state
               dict saved by torch, or safetensors.
    precision: "fp16" keeps OpenAI's half-precision weights (normalisation layers stay fp32);
               "fp32" and "amp" make every parameter fp32.

    Raises ConfigError for an unknown name, CheckpointError for weights that cannot be read.
    """
    if name == TINY:
        state = _read_file(asset("tiny_clip.safetensors"))
    elif name in clip.available_models():
        state = _read_file(download(name))
    elif Path(name).is_file():
        state = _read_file(Path(name))
    else:
        raise _unknown(name)
    model = _build(state, name)
    if precision != "fp16":
        model.float()
        model.load_state_dict(state)  # again, in full precision
    return model.to(device).eval().requires_grad_(False)


def weights_hash(name: str) -> str | None:
    """12 hexadecimal digits of the SHA-256 of a backbone's weights, the published one for OpenAI's;
    None for a name that is none of `load_clip`'s."""
    if name in clip.available_models():
        return Path(clip.clip._MODELS[name]).parent.name[:12]
    path = asset("tiny_clip.safetensors") if name == TINY else Path(name).expanduser()
    if not path.is_file():
        return None
    facts = path.stat()
    return _sha256_of(path, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)[:12]


@lru_cache(maxsize=8)
def _sha256_of(path: Path, size: int, modified: int, changed: int) -> str:
    return sha256(path)


def fetch(name: str) -> None:
    """Have the weights of `name` on this machine before runs start in parallel.

    Raises ConfigError for an unknown name, CheckpointError when the download fails.
    """
    if name in clip.available_models():
        download(name)
    elif name != TINY and not Path(name).is_file():
        raise _unknown(name)


def _unknown(name: str) -> ConfigError:
    return ConfigError(
        f"MODEL.BACKBONE.NAME: {name!r} is neither a file nor a known backbone"
        f"{nearest(name, available_backbones())}; known: {', '.join(available_backbones())}"
    )


def download(name: str) -> Path:
    """The checked file of an OpenAI backbone, downloaded into clip's own cache when missing.

    It appears there whole or not at all, also when several processes download it at once.
    """
    address = clip.clip._MODELS[name]
    cache = Path(os.path.expanduser("~/.cache/clip"))
    target = cache / Path(address).name
    try:
        if target.is_file() and sha256(target) == Path(address).parent.name:
            return target
        with temporary_folder(cache, f".{target.stem}-") as folder:
            os.replace(clip.clip._download(address, str(folder)), target)
        return target
    except (OSError, http.client.HTTPException, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"the weights of {name} could not be downloaded ({error}); fetch {address} "
            f"by hand and put it at {target}"
        ) from error


def _read_file(path: Path) -> dict[str, torch.Tensor]:
    """State dict of a checkpoint file, with the tiny CLIP's compact vocabulary spread out."""
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        elif _is_jit_archive(path):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                state = torch.jit.load(path, map_location="cpu").state_dict()
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
            state = state.get("state_dict", state)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file") from error
    except Exception as error:  # torch.load raises pickle's own errors, which have no common base
        raise CheckpointError(
            f"{path}: not readable as CLIP weights ({_first_line(error)}); fetch the file again"
        ) from error
    for key in ("input_resolution", "context_length", "vocab_size"):
        state.pop(key, None)
    return _expand_vocabulary(state)


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


def _build(state: dict[str, torch.Tensor], name: str) -> CLIP:
    try:
        return build_model(dict(state))
    except Exception as error:  # wrong keys or shapes surface as any of half a dozen types
        raise CheckpointError(
            f"{name}: the file holds no OpenAI CLIP model ({_first_line(error)})"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def logit_scale(model: CLIP) -> float:
    """The model's own factor between cosines and logits; 100 for OpenAI's."""
    return math.exp(float(model.logit_scale.detach().float()))


def resolve_precision(precision: str, device: torch.device) -> str:
    """The precision that `device` can run; half precision on a CPU becomes fp32, and is said."""
    if precision != "fp32" and device.type == "cpu":
        print(f"Precision: {precision} needs CUDA, fp32 is used on the CPU")
        return "fp32"
    return precision
