"""Load a CLIP by name: OpenAI's, a file in their layout, the embedded tiny one, or open_clip's.

All become a `Backbone`, so that one code path serves them.
"""

import copy
import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import torch

from ueo.clip.towers import open_clip_files, open_clip_names, openai_files
from ueo.clip.towers.interface import Backbone
from ueo.clip.towers.openai_files import TINY
from ueo.errors import ConfigError
from ueo.files import file_version, sha256
from ueo.names import did_you_mean
from ueo.settings.options import quoted
from ueo.settings.preprocessing import Preprocessing


def available_backbones() -> list[str]:
    """Return the names that `load_clip` takes besides paths and names of open_clip."""
    return [*openai_files.published(), TINY, *open_clip_names.EMBEDDED]


def load_clip(
    name: str,
    precision: str,
    device: torch.device | str = "cpu",
    weights: dict[str, torch.Tensor] | None = None,
) -> Backbone:
    """Load a backbone onto `device`, in eval mode, its parameters frozen.

    name:      one of `available_backbones()`, the path of a file (OpenAI's JIT archive, a state
               dict saved by torch, or safetensors), or a name of open_clip (open_clip_files.py).
    precision: "fp16" keeps OpenAI's half-precision weights (normalisation layers stay fp32);
               "fp32" and "amp" make every parameter fp32.
    weights:   state dict in the library's own layout, used instead of the weights of `name`.

    Raises ConfigError for an unknown name, CheckpointError for weights that cannot be read.
    """
    if weights is not None:
        backbone = _library(name).load(name, precision, weights)
    elif _serves_many_runs(device):
        backbone = own_copy(name, precision)
    else:
        backbone = _read(name, precision)
    backbone.model.to(device).eval().requires_grad_(False)
    return backbone


def _serves_many_runs(device: torch.device | str) -> bool:
    """Whether one process does many runs on the device; on a CPU each run has its own process."""
    return torch.device(device).type == "cuda"


@dataclass
class _Kept:
    """A backbone as it was read, on the CPU. Building it draws random numbers; `drawn` maps the
    state of torch's generator before to the state after."""

    backbone: Backbone | None = None
    drawn: dict[bytes, torch.Tensor] = field(default_factory=dict)


@lru_cache(maxsize=1)
def _kept(name: str, version: tuple[int, int, int] | None, precision: str) -> _Kept:
    return _Kept()


def own_copy(name: str, precision: str) -> Backbone:
    """Return a copy of what `load_clip` reads. The last backbone is kept in memory and read again
    if its file has changed. torch's random generator is left in the same state as by reading."""
    kept = _kept(name, file_version(weights_file(name)), precision)
    before = torch.get_rng_state().numpy().tobytes()
    if before not in kept.drawn:
        kept.backbone = _read(name, precision)
        kept.drawn[before] = torch.get_rng_state()
    torch.set_rng_state(kept.drawn[before])
    return copy.deepcopy(kept.backbone)


def _library(name: str):
    """Return the module that handles the files of this backbone's library."""
    return open_clip_files if open_clip_names.is_named(name) else openai_files


def _read(name: str, precision: str) -> Backbone:
    check_name(name)
    return _library(name).load(name, precision)


def weights_file(name: str) -> Path:
    """Return where the weights are, or will be after a download."""
    return _library(name).weights_file(name)


def weights_hash(name: str) -> str | None:
    """Return 12 hexadecimal digits of the SHA-256 of the weights, for OpenAI's from the published
    hash; None if there is no such file."""
    if name in openai_files.published():
        return openai_files.published_hash(name)[:12]
    path = weights_file(name).expanduser()
    version = file_version(path)
    return None if version is None else _sha256_of(path, version)[:12]


@lru_cache(maxsize=8)
def _sha256_of(path: Path, version: tuple[int, int, int]) -> str:
    return sha256(path)


def check_name(name: str) -> None:
    """Raise ConfigError unless `load_clip` knows the name or it is a file."""
    if open_clip_names.is_named(name):
        open_clip_names.check(name)
    elif name not in available_backbones() and not os.path.isfile(name):
        raise ConfigError(
            f"MODEL.BACKBONE.NAME: {quoted(name)} is neither a file nor a known backbone"
            f"{did_you_mean(name[:80], available_backbones())}; "
            f"known: {', '.join(available_backbones())}, and {open_clip_names.PREFIX}... of "
            "open_clip (--list-backbones)"
        )


def fetch(name: str) -> None:
    """Download the weights of `name` if they are missing, before runs start in parallel.

    Raises ConfigError for an unknown name, CheckpointError when the download fails.
    """
    check_name(name)
    if open_clip_names.is_named(name):
        open_clip_files.fetch(name)
    elif name in openai_files.published():
        openai_files.download(name)


def absent(name: str) -> str:
    """Return what `fetch` would have to download, in words; "" if nothing."""
    return _library(name).absent(name)


def fetch_unidentified(name: str) -> None:
    """Call `fetch` for backbones of open_clip: their hashes, unlike OpenAI's, are not published."""
    if open_clip_names.is_named(name):
        fetch(name)


def preprocessing(name: str) -> Preprocessing | None:
    """Return the preprocessing of a backbone of open_clip, without reading its weights; None for
    others. Raises as `check_name` does."""
    return open_clip_files.preprocessing(name) if open_clip_names.is_named(name) else None


def listing() -> str:
    """Return all backbones as text: OpenAI's, the embedded ones, and open_clip's by model."""
    lines = ["OpenAI's:", *(f"  {name}" for name in openai_files.published()),
             "Embedded:", *(f"  {name}" for name in (TINY, *open_clip_names.EMBEDDED)),
             "open_clip's, open_clip:MODEL/SET (docs/backbones.md says how to name your own):"]
    try:
        known = open_clip_names.models()
    except ConfigError:
        return "\n".join([*lines, f"  not installed; {open_clip_names.INSTALL}"])
    sets = {model: open_clip_names.weights_of(model) for model in known}
    return "\n".join([*lines, *(f"  open_clip:{model}/  {' '.join(found)}"
                                for model, found in sets.items() if found)])


def name_in_paths(name: str) -> str:
    """"ViT-B/16" -> "vit_b16"; a file of weights -> its stem."""
    if open_clip_names.is_named(name):
        return open_clip_names.stem(name)
    if Path(name).is_file():
        return Path(name).stem
    stem = name.lower().replace("/", "").replace("-", "_").replace("@", "_")
    return {"tinyclip": "tiny_clip"}.get(stem, stem)


def name_in_tables(name: str) -> str:
    """The name without the folders of a file."""
    if open_clip_names.is_named(name):
        return open_clip_names.without_path(name)
    return name if name in available_backbones() else Path(name).name
