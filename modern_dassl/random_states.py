"""Global random states as plain data, to be stored in a checkpoint, restored and compared."""

import random

import numpy as np
import torch


def get_random_states() -> dict:
    """Return the states of Python, NumPy, and torch on the CPU and every CUDA device."""
    name, keys, position, has_gauss, cached = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": {
            "name": name,
            "keys": torch.from_numpy(keys.astype(np.int64)),
            "position": int(position),
            "has_gauss": int(has_gauss),
            "cached": float(cached),
        },
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_states(states: dict) -> None:
    """Restore the states of get_random_states.

    CUDA states are restored only if the number of devices is the same.
    """
    version, keys, gauss = states["python"]
    random.setstate((version, tuple(keys), gauss))
    numpy = states["numpy"]
    keys = numpy["keys"].cpu().numpy().astype(np.uint32)
    np.random.set_state(
        (numpy["name"], keys, numpy["position"], numpy["has_gauss"], numpy["cached"])
    )
    torch.set_rng_state(states["torch"].cpu())
    cuda = states["cuda"]
    if cuda and torch.cuda.is_available() and torch.cuda.device_count() == len(cuda):
        torch.cuda.set_rng_state_all([state.cpu() for state in cuda])


def drew_on_cpu(before: dict, after: dict) -> bool:
    """Whether random numbers were drawn on the CPU between two results of get_random_states."""
    old, new = before["numpy"], after["numpy"]
    return not (
        before["python"] == after["python"]
        and old["position"] == new["position"] and torch.equal(old["keys"], new["keys"])
        and torch.equal(before["torch"], after["torch"])
    )
