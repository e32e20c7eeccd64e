"""The GPUs of a machine, shared by runs that are processes of their own."""

import os
from collections.abc import Sequence

import torch


def visible(device: str) -> list[str]:
    """The GPUs to share, as CUDA_VISIBLE_DEVICES calls them; none for the device "cpu".

    Only this process may ask: one that asks CUDA can no longer fork a run that uses it.
    """
    count = 0 if device == "cpu" else torch.cuda.device_count()
    chosen = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    return ([name for name in chosen if name] or [str(i) for i in range(count)])[:count]


def worker_count(asked: int, device: str) -> int:
    """Runs at once: as asked, else one a GPU, else one a CPU core (at most 8)."""
    return asked or len(visible(device)) or min(os.cpu_count() or 1, 8)


def least_used(devices: Sequence[str], used: list[str]) -> str:
    """The device that occurs least in `used`; "" where there is none."""
    return min(devices, key=used.count, default="")
