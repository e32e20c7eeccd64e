"""Load CLIP: OpenAI's published weights by name, a local file, or the embedded tiny CLIP.

Everything ends as OpenAI's `clip.model.CLIP`, so that one code path serves all backbones.
"""

import copy
import http.client
import math
import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import clip
import torch
from clip.model import CLIP, build_model

from ueo.clip.published.files import first_line
from ueo.clip.weights import read_weights
from ueo.errors import CheckpointError, ConfigError
from ueo.files import asset, file_version, sha256
from ueo.names import did_you_mean
from ueo.settings.options import quoted
from ueo.temporaries import temporary_folder

TINY = "TinyCLIP"


def available_backbones() -> list[str]:
    """Names that `load_clip` takes besides a path."""
    return [*clip.available_models(), TINY]


def load_clip(
    name: str,
    precision: str,
    device: torch.device | str = "cpu",
    weights: dict[str, torch.Tensor] | None = None,
) -> CLIP:
    """The model in eval mode with frozen parameters, on `device`.

    name:      one of `available_backbones()` or the path of a file: OpenAI's JIT archive, a state
               dict saved by torch, or safetensors.
    precision: "fp16" keeps OpenAI's half-precision weights (normalisation layers stay fp32);
               "fp32" and "amp" make every parameter fp32.
    weights:   state dict in OpenAI's layout, to be taken instead of those of `name`.

    Raises ConfigError for an unknown name, CheckpointError for weights that cannot be read.
    """
    if weights is not None:
        model = _built(weights, name, precision)
    elif torch.device(device).type == "cuda":  # a process there does many runs, one on a CPU
        model = own_copy(name, precision)
    else:
        model = _read_clip(name, precision)
    return model.to(device).eval().requires_grad_(False)


@dataclass
class _Kept:
    """A model as it was read, on the CPU; and for each state that torch's random numbers had before
    it was built, which draws some, their state after that."""

    model: CLIP | None = None
    drawn: dict[bytes, torch.Tensor] = field(default_factory=dict)


@lru_cache(maxsize=1)
def _kept(name: str, version: tuple[int, int, int] | None, precision: str) -> _Kept:
    return _Kept()


def own_copy(name: str, precision: str) -> CLIP:
    """What `load_clip` reads, as a copy of the caller's own. The last backbone stays in memory, and
    is read again where its file has changed; random numbers go on as after reading."""
    kept = _kept(name, file_version(weights_file(name)), precision)
    before = torch.get_rng_state().numpy().tobytes()
    if before not in kept.drawn:
        kept.model = _read_clip(name, precision)
        kept.drawn[before] = torch.get_rng_state()
    torch.set_rng_state(kept.drawn[before])
    return copy.deepcopy(kept.model)


def _read_clip(name: str, precision: str) -> CLIP:
    check_name(name)
    state = read_weights(download(name) if name in clip.available_models() else weights_file(name))
    return _built(state, name, precision)


def _built(state: dict[str, torch.Tensor], name: str, precision: str) -> CLIP:
    model = _build(state, name)
    if precision != "fp16":
        model.float()
        model.load_state_dict(state)  # again, in full precision
    return model


def weights_file(name: str) -> Path:
    """Where the weights are, or will be when they are downloaded."""
    if name in clip.available_models():
        return Path(os.path.expanduser("~/.cache/clip"), Path(clip.clip._MODELS[name]).name)
    return asset("tiny_clip.safetensors") if name == TINY else Path(name)


def weights_hash(name: str) -> str | None:
    """12 hexadecimal digits of the SHA-256 of a backbone's weights, the published one for OpenAI's;
    None for a name that is none of `load_clip`'s."""
    if name in clip.available_models():
        return Path(clip.clip._MODELS[name]).parent.name[:12]
    path = weights_file(name).expanduser()
    version = file_version(path)
    return None if version is None else _sha256_of(path, version)[:12]


@lru_cache(maxsize=8)
def _sha256_of(path: Path, version: tuple[int, int, int]) -> str:
    return sha256(path)


def check_name(name: str) -> None:
    """Raise ConfigError unless `load_clip` knows the name, or it is a file."""
    if name not in available_backbones() and not os.path.isfile(name):
        raise _unknown(name)


def fetch(name: str) -> None:
    """Have the weights of `name` on this machine before runs start in parallel.

    Raises ConfigError for an unknown name, CheckpointError when the download fails.
    """
    check_name(name)
    if name in clip.available_models():
        download(name)


def _unknown(name: str) -> ConfigError:
    return ConfigError(
        f"MODEL.BACKBONE.NAME: {quoted(name)} is neither a file nor a known backbone"
        f"{did_you_mean(name[:80], available_backbones())}; "
        f"known: {', '.join(available_backbones())}"
    )


def download(name: str) -> Path:
    """The checked file of an OpenAI backbone, downloaded into clip's own cache when missing.

    It appears there whole or not at all, also when several processes download it at once.
    """
    address, target = clip.clip._MODELS[name], weights_file(name)
    try:
        if target.is_file() and sha256(target) == Path(address).parent.name:
            return target
        with temporary_folder(target.parent, f".{target.stem}-") as folder:
            os.replace(clip.clip._download(address, str(folder)), target)
        return target
    except (OSError, http.client.HTTPException, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"the weights of {name} could not be downloaded ({error}); fetch {address} "
            f"by hand and put it at {target}"
        ) from error


def _build(state: dict[str, torch.Tensor], name: str) -> CLIP:
    try:
        return build_model(dict(state))
    except Exception as error:  # wrong keys or shapes surface as any of half a dozen types
        raise CheckpointError(
            f"{name}: its tensors make no OpenAI CLIP model ({first_line(error)})"
        ) from error


def logit_scale(model: CLIP) -> float:
    """The model's own factor between cosines and logits; 100 for OpenAI's."""
    return math.exp(float(model.logit_scale.detach().float()))
