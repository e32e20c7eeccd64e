"""How much of the device's memory images may take."""

import torch

from ueo.images.pixel_cache import GIGABYTE
from ueo.settings.machine_share import runs_on_gpu

SHARE = 3  # of the free memory one in so many bytes, divided among the runs on the GPU


class Budget:
    """Bytes of the device that the images of a run may take together.

    gigabytes: None: a third of what is free on a GPU when images first ask, none on a CPU.
    threads: that read images.
    """

    def __init__(self, device: torch.device, gigabytes: float | None, threads: int):
        self.device, self.threads = device, max(1, threads)
        self._left = None if gigabytes is None else int(gigabytes * GIGABYTE)
        if gigabytes is None and device.type == "cpu":
            self._left = 0

    def left(self) -> int:
        """Bytes that are not taken yet."""
        if self._left is None:
            free, _ = torch.cuda.mem_get_info(self.device)
            free += torch.cuda.memory_reserved(self.device)  # by this process, and mostly unused
            free -= torch.cuda.memory_allocated(self.device)
            self._left = free // (SHARE * runs_on_gpu())
        return self._left

    def take(self, size: int, what: str, otherwise: str) -> bool:
        """Whether `size` bytes more fit, which one line says.

        what: is to be kept; otherwise: what becomes of it where there is no room.
        """
        amount, room = f"{size / GIGABYTE:.2f} GB", f"{self.left() / GIGABYTE:.2f} GB"
        if size > self.left():
            print(f"{what} ({amount}) do not fit on the device, where DATASET.DEVICE_GB leaves "
                  f"{room}: {otherwise}")
            return False
        self._left -= size
        print(f"{what} are kept on the device: {amount} of {room}")
        return True
