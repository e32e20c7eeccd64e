"""The images of a run as a stream: an iterable of batches with keys.

Whatever yields such batches can replace `Stream`. A key is the number of an image in order of
arrival, from 0; `again` returns images that have arrived, by their keys.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ueo.images.loaders import EvaluationLoader


class Stream:
    """batches: positions in the loader's list, one array a batch. features, zero_shot: (images, .),
    of the frozen model, in the order of that list. read: whether batches hold images. begins: the
    numbers of the batches that begin a further domain.

    A batch is {"index": keys (batch,), "features": (batch, embedding), "zero_shot": (batch, K)
    unscaled cosines} and, with `read`, "img": (batch, 3, height, width). Features and images are on
    the device.
    """

    def __init__(self, loader: EvaluationLoader, batches: list[np.ndarray], features: Tensor,
                 zero_shot: Tensor, read: bool, begins: Sequence[int] = ()):
        self.begins = begins
        self.order = np.concatenate(batches)
        self.ends = np.cumsum([len(batch) for batch in batches])
        self._images, self.normalise = loader.dataset.only(self.order.tolist()), loader.normalise
        self.workers, self.read = loader.num_workers, read
        self._features, self._zero_shot = features, zero_shot
        self._come = 0

    def __len__(self) -> int:
        return len(self.ends)

    def __iter__(self) -> Iterator[dict]:
        return self.starting_with(0)

    def starting_with(self, batch: int) -> Iterator[dict]:
        """Yield the batches from this number on."""
        ends = [0, *self.ends.tolist()]
        keys = [list(range(*pair)) for pair in zip(ends[batch:], ends[batch + 1:])]
        pictures = self._pictures(keys) if self.read else ({} for _ in keys)
        for own, found in zip(keys, pictures):
            self._come = own[-1] + 1
            rows, device = self.order[own], self.normalise.mean.device
            yield {
                "index": torch.tensor(own), "features": self._features[rows].to(device),
                "zero_shot": self._zero_shot[rows], **found,
            }

    def _pictures(self, keys: list[list[int]]) -> Iterator[dict]:
        loader = DataLoader(
            self._images, batch_sampler=keys, num_workers=self.workers,
            pin_memory=self.normalise.mean.device.type == "cuda",
            generator=torch.Generator().manual_seed(0),  # or the default one would advance
        )
        return ({"img": self.normalise(batch["img"])} for batch in loader)

    def draw(self, keys: Tensor, size: int) -> dict:
        """Draw a random batch of at most `size` of these images, which have arrived."""
        drawn = keys[torch.randperm(len(keys))[:size]]
        return {"img": self.again(drawn), "index": drawn}

    def again(self, keys: Tensor) -> Tensor:
        """(images, 3, height, width) of keys that have arrived. Raises ValueError for others."""
        if len(keys) and int(keys.max()) >= self._come:
            raise ValueError(f"image {int(keys.max())} of the stream has not arrived yet")
        pictures = [torch.as_tensor(self._images[key]["img"]) for key in keys.tolist()]
        return self.normalise(torch.stack(pictures))
