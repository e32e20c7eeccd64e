"""The GPUs of a machine, shared by runs that are processes of their own."""

import os
from collections import Counter
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


class Turns:
    """Which GPU the next run takes. One on which run after run fails, as one that another program
    fills, would be free most often and take all that are waiting: after its second failure it gets
    none until 1, then 3, 7, ... more runs have ended well, unless all GPUs fare like that.

    devices: as `visible` gives them; none for runs without a GPU. workers: runs at once.
    """

    def __init__(self, devices: Sequence[str], workers: int):
        self.devices, self.workers = devices, workers
        self.room = -(-workers // max(1, len(devices)))  # runs at once on one GPU
        self.well = 0  # runs that ended so
        self.failed: Counter[str] = Counter()  # in a row
        self.until: Counter[str] = Counter()  # the number of runs that end well

    def next(self, used: list[str]) -> str | None:
        """The GPU that the fewest others use, "" without any; None where the next run must wait.
        used: that of each run under way."""
        if len(used) >= self.workers:
            return None
        if not self.devices:
            return ""
        fit = [gpu for gpu in self.devices if self.until[gpu] <= self.well] or self.devices
        return least_used([gpu for gpu in fit if used.count(gpu) < self.room], used) or None

    def ended(self, gpu: str, failed: bool) -> bool:
        """Count a run that ended; returns whether the GPU gets few from now on."""
        self.well += not failed
        self.failed[gpu] = self.failed[gpu] + 1 if failed else 0
        self.until[gpu] = self.well + 2 ** max(self.failed[gpu] - 1, 0) - 1
        return self.failed[gpu] == 2 and len(self.devices) > 1
