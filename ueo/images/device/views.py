"""Keep the crops of an evaluation in the device's memory from its first pass on."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from ueo.images.device.budget import Budget
from ueo.images.items import Images


class KeptViews:
    """views: (positions, height, width, 3), uint8, on the device, of the given positions of a list;
    the first `done` of them are filled."""

    def __init__(self, images: Images, positions: Sequence[int], shape: torch.Size,
                 budget: Budget):
        self.images, self.positions, self.threads = images, positions, budget.threads
        self.views = torch.empty(len(positions), *shape, dtype=torch.uint8, device=budget.device)
        self.done = 0

    def batches(self, size: int) -> Iterator[Tensor]:
        """Yield all views in order, `size` at a time. Threads read those that are missing."""
        todo = [self.positions[i : i + size] for i in range(self.done, len(self.positions), size)]
        made = in_turn(lambda position: self.images[position]["img"], todo, self.threads)
        for begin in range(0, len(self.positions), size):
            views = self.views[begin : begin + size]
            if self.done < begin + len(views):
                batch = torch.stack(next(made))
                batch = batch.pin_memory() if self.views.is_cuda else batch
                views.copy_(batch, non_blocking=True)
                self.done = begin + len(views)
            yield views


def keep_views(images: Images, positions: Sequence[int], budget: Budget, otherwise: str
               ) -> KeptViews | None:
    """Allocate memory for the views at some positions of a list; None if they do not fit or the
    transform is random."""
    if not budget.left() or not images.keep_views or images.view is None:
        return None
    shape = images[positions[0]]["img"].shape
    size = len(positions) * shape.numel()
    if not budget.take(size, f"{len(positions):,} evaluation crops", otherwise):
        return None
    return KeptViews(images, positions, shape, budget)


def in_turn(function: Callable, parts: Iterable[Sequence], threads: int) -> Iterator[list]:
    """Yield `function` of each item, part by part. Threads compute one part ahead."""
    with ThreadPoolExecutor(threads) as pool:
        ahead: deque[list] = deque()
        for part in parts:
            ahead.append([pool.submit(function, item) for item in part])
            if len(ahead) > 1:
                yield [future.result() for future in ahead.popleft()]
        for futures in ahead:
            yield [future.result() for future in futures]
