"""The budget of device memory for images."""

import torch

from ueo.images.pixel_cache import GIGABYTE
from ueo.settings.machine_share import runs_on_gpu

SHARE = 3  # 1 / SHARE of the free memory, divided among the runs on the GPU


class Budget:
    """Bytes of device memory that the images of a run may take in all.

    gigabytes: the budget; None: a third of what is free on a GPU at the first use, 0 on a CPU.
    threads: number of threads that read images.
    """

    def __init__(self, device: torch.device, gigabytes: float | None, threads: int):
        self.device, self.threads = device, max(1, threads)
        self._left = None if gigabytes is None else int(gigabytes * GIGABYTE)
        if gigabytes is None and device.type == "cpu":
            self._left = 0

    def left(self) -> int:
        """Return the bytes that are left."""
        if self._left is None:
            free, _ = torch.cuda.mem_get_info(self.device)
            free += torch.cuda.memory_reserved(self.device)  # cached by this process's allocator
            free -= torch.cuda.memory_allocated(self.device)
            self._left = free // (SHARE * runs_on_gpu())
        return self._left

    def take(self, size: int, what: str, otherwise: str) -> bool:
        """Take `size` bytes if they are left, return whether they were, and print a line about it.

        what: the data, for the line; otherwise: what happens to it if it does not fit.
        """
        amount, room = f"{size / GIGABYTE:.2f} GB", f"{self.left() / GIGABYTE:.2f} GB"
        if size > self.left():
            print(f"{what} ({amount}) do not fit on the device, where DATASET.DEVICE_GB leaves "
                  f"{room}: {otherwise}")
            return False
        self._left -= size
        print(f"{what} are kept on the device: {amount} of {room}")
        return True
