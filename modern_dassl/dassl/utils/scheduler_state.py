"""States of schedulers as plain data, both ways, across versions of torch."""

from collections import Counter

import torch


def is_plain(value) -> bool:
    """Whether a value is a number, text, tensor, None, or a container of such."""
    if isinstance(value, dict):
        return all(is_plain(v) for v in value.values())
    if isinstance(value, list | tuple):
        return all(is_plain(v) for v in value)
    return value is None or isinstance(value, bool | int | float | str | torch.Tensor)


def plain_state(scheduler) -> dict:
    """`scheduler.state_dict()` without what is no plain data."""
    return {
        key: dict(value) if isinstance(value, Counter) else value
        for key, value in scheduler.state_dict().items()
        if is_plain(value)
    }


def load_plain_state(scheduler, state: dict) -> None:
    """The reverse of plain_state; attributes that this torch's scheduler lacks are left out.

    Raises ValueError for the state of a scheduler with a warm-up when this one has none.
    """
    own = vars(scheduler)
    if "successor" in state and "successor" not in own:
        raise ValueError("it is of a scheduler with a warm-up, this run's has none")
    state = {key: value for key, value in state.items() if key in own and is_plain(value)}
    for key, value in state.items():
        if isinstance(own[key], Counter):
            state[key] = Counter(value) if value else own[key]
    scheduler.load_state_dict(state)
