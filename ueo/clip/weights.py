"""Read the weights of a CLIP in OpenAI's layout from a file; see published/files.py for formats."""

from pathlib import Path

import torch

from modern_dassl.finite import first_not_finite
from ueo.clip.published.files import read_state
from ueo.clip.published.layouts import OPENAI, layout_of
from ueo.errors import CheckpointError

VOCABULARY = 49408  # OpenAI's tokenizer


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Return a state dict in OpenAI's layout, with the tiny CLIP's compact vocabulary expanded.

    Raises CheckpointError, which says what the file holds if that is known.
    """
    state = read_state(path)
    layout = layout_of(state)
    if layout is None:
        some = ", ".join(list(state)[:3]) or "no name at all"
        raise CheckpointError(
            f"{path}: holds no OpenAI CLIP model; it has neither visual.proj nor "
            f"visual.attnpool.c_proj.weight, but {some}"
        )
    if layout is not OPENAI:
        raise CheckpointError(f"{path}: holds {layout.what}; {layout.remedy}")
    return usable(state, path)


def usable(state: dict[str, torch.Tensor], path: Path) -> dict[str, torch.Tensor]:
    """Return the weights read from `path`. A compact vocabulary, of trained tokens alone, becomes
    the whole one, with zeros elsewhere. Raises CheckpointError for NaN or infinity."""
    if name := first_not_finite(state):
        raise CheckpointError(f"{path}: {name} holds NaN or infinity; these weights cannot be used")
    ids = state.pop("token_embedding.ids", None)
    if ids is not None:
        rows = state["token_embedding.weight"]  # (tokens used, width)
        full = torch.zeros(VOCABULARY, rows.shape[1], dtype=rows.dtype)
        full[ids.long()] = rows
        state["token_embedding.weight"] = full
    return state
