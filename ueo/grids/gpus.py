"""Share the GPUs of a machine among runs in separate processes."""

import os
from collections import Counter
from collections.abc import Sequence

import torch


def visible(device: str) -> list[str]:
    """Return the GPUs to share, named as in CUDA_VISIBLE_DEVICES; none for the device "cpu".

    Never call this in the fork server: its children could no longer use CUDA.
    """
    count = 0 if device == "cpu" else torch.cuda.device_count()
    chosen = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    return ([name for name in chosen if name] or [str(i) for i in range(count)])[:count]


def worker_count(asked: int, device: str) -> int:
    """Return the number of parallel runs: `asked`, or the GPUs, or the CPU cores (at most 8)."""
    return asked or len(visible(device)) or min(os.cpu_count() or 1, 8)


def least_used(devices: Sequence[str], used: list[str]) -> str:
    """Return the device that occurs least in `used`; "" if there are no devices."""
    return min(devices, key=used.count, default="")


class Turns:
    """Choose the GPU of the next run.

    A GPU on which every run fails, such as one that another program fills, is free most often and
    would take all waiting runs. So after its second failure in a row it gets none until 1, then 3,
    7, ... more runs have succeeded anywhere, unless this holds for all GPUs.

    devices: from `visible`; none for runs without a GPU. workers: runs in parallel.
    """

    def __init__(self, devices: Sequence[str], workers: int):
        self.devices, self.workers = devices, workers
        self.room = -(-workers // max(1, len(devices)))  # runs at once on one GPU
        self.succeeded = 0  # runs
        self.failed: Counter[str] = Counter()  # failures in a row
        self.until: Counter[str] = Counter()  # `succeeded` from which it is used again

    def next(self, used: list[str]) -> str | None:
        """Return the least used GPU, "" if there are none, or None if the next run must wait.
        used: the GPU of each current run."""
        if len(used) >= self.workers:
            return None
        if not self.devices:
            return ""
        fit = [gpu for gpu in self.devices if self.until[gpu] <= self.succeeded] or self.devices
        return least_used([gpu for gpu in fit if used.count(gpu) < self.room], used) or None

    def ended(self, gpu: str, failed: bool) -> bool:
        """Count an ended run; return whether its GPU gets few runs from now on."""
        self.succeeded += not failed
        self.failed[gpu] = self.failed[gpu] + 1 if failed else 0
        self.until[gpu] = self.succeeded + 2 ** max(self.failed[gpu] - 1, 0) - 1
        return self.failed[gpu] == 2 and len(self.devices) > 1
