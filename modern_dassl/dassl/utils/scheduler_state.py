"""Save and load states of schedulers as plain data, across versions of torch."""

from collections import Counter

import torch


def is_plain(value) -> bool:
    """Whether a value is a number, text, tensor, None, or a container of these."""
    if isinstance(value, dict):
        return all(is_plain(v) for v in value.values())
    if isinstance(value, list | tuple):
        return all(is_plain(v) for v in value)
    return value is None or isinstance(value, bool | int | float | str | torch.Tensor)


def plain_state(scheduler) -> dict:
    """Return `scheduler.state_dict()` with plain data only."""
    return {
        key: dict(value) if isinstance(value, Counter) else value
        for key, value in scheduler.state_dict().items()
        if is_plain(value)
    }


def load_plain_state(scheduler, state: dict) -> None:
    """Load a plain_state; skip attributes that this torch's scheduler lacks.

    Raise ValueError if the state has a warm-up and this scheduler has none.
    """
    own = vars(scheduler)
    if "successor" in state and "successor" not in own:
        raise ValueError("it is of a scheduler with a warm-up, this run's has none")
    state = {key: value for key, value in state.items() if key in own and is_plain(value)}
    for key, value in state.items():
        if isinstance(own[key], Counter):
            state[key] = Counter(value) if value else own[key]
    scheduler.load_state_dict(state)
