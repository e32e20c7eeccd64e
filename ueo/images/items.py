"""Images of a list as items, which hold no more than an unsupervised trainer may see."""

import copy
import hashlib
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import numpy as np
import torch
from dassl.data.datasets import Datum
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from modern_dassl.loading import random_state_of, torch_state_of
from ueo.files import file_version
from ueo.images.decoding import image_size, read_image
from ueo.images.lists import NO_LABEL
from ueo.images.pixel_cache import PixelStore
from ueo.images.transforms import by_pillow, by_torch, fast_steps, image_steps

SAMPLE = 64  # images from whose sizes the total is estimated


class Images(Dataset):
    """Items of Dassl's form: img, label, domain, impath, index (position in the list).

    img: (height, width, 3) uint8, to be normalised in batches (ueo/images/transforms.py); or the
    output of `transform`, if that does more than normalise after ToTensor.

    chosen: positions of the items that are used; default all.
    store:  cache of decoded images, and with `keep_views` of transformed ones, if the transform is
            deterministic.
    plain:  use only torchvision's own transform.
    upright: rotate by the EXIF orientation.
    fast:   (RandomResizedCrop, further steps) if the transform has a fast way, else None.
    hide:   label is -1 and impath is empty, for an unsupervised trainer: a folder's name is a
            class.

    seed: of the epoch, or negative. An augmentation depends only on it and the index, so neither
    the number of worker processes nor an interruption changes a run. It is in shared memory because
    workers outlive an epoch.
    """

    def __init__(self, items: list[Datum], transform, hide: bool = False,
                 store: PixelStore | None = None, keep_views: bool = False, plain: bool = False,
                 upright: bool = False):
        self._items, self.transform, self.hide = items, transform, hide
        self.store, self.keep_views, self.plain = store, keep_views, plain
        self.upright = upright
        self.chosen = range(len(items))
        self.seed = torch.tensor(-1).share_memory_()
        steps = image_steps(transform)
        self.fast = None if steps is None or plain else fast_steps(steps)
        self.view = None if steps is None else partial(by_pillow, steps)
        if self.fast:
            self.view = partial(by_torch, *self.fast)
        # the fast way uses torch's random generator alone
        self.state_of = torch_state_of if self.fast else random_state_of
        self.view_name = repr(transform)

    def only(self, chosen: list[int]) -> "Images":
        """Return these images restricted to the positions `chosen` of the list."""
        part = copy.copy(self)
        part.chosen, part.seed = chosen, torch.tensor(-1).share_memory_()
        return part

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, position: int) -> dict:
        index = self.chosen[position]
        with self.drawn_for(index):
            image = self._image(self._items[index].impath)
        return {"img": image, **self._facts(index)}

    def drawn_for(self, index: int) -> AbstractContextManager:
        """Set the random state for the augmentation of the image at `index` of the list."""
        seed = int(self.seed)
        return nullcontext() if seed < 0 else self.state_of(seed + index)

    def facts(self, positions: Sequence[int]) -> dict:
        """Return a batch of items without their images, collated as by a DataLoader."""
        found = [self._facts(self.chosen[position]) for position in positions]
        columns = {key: [facts[key] for facts in found] for key in found[0]}
        return {k: v if k == "impath" else torch.tensor(v) for k, v in columns.items()}

    def _facts(self, index: int) -> dict:
        item = self._items[index]
        return {
            "label": NO_LABEL if self.hide else item.label,
            "domain": item.domain,
            "impath": "" if self.hide else item.impath,
            "index": index,
        }

    def size(self, position: int) -> tuple[int, int]:
        """Return height and width of the decoded image, mostly without decoding it."""
        path = self._items[self.chosen[position]].impath
        kept = self.store.shape(self._version(path)) if self.store else None
        return kept or image_size(path, self.upright)

    def decoded_bytes(self) -> int:
        """Estimate the bytes of all decoded images from the sizes of a few."""
        sample = range(0, len(self), -(-len(self) // SAMPLE))
        return int(3 * len(self) * np.mean([np.prod(self.size(i)) for i in sample]))

    def decoded(self, position: int) -> np.ndarray:
        """Return the decoded image, (height, width, 3), uint8; do not write to it."""
        path = self._items[self.chosen[position]].impath
        return self._decoded(path, self._version(path) if self.store else "")

    def content_hash(self) -> str:
        """Return a hash that identifies the items' pixels, for a deterministic transform."""
        digest = hashlib.sha256(self.view_name.encode())
        for position in self.chosen:
            version = self._version(self._items[position].impath)
            digest.update(version.encode(errors="surrogateescape"))
        return digest.hexdigest()

    def _image(self, path: str) -> Tensor:
        version = self._version(path) if self.store else ""
        if self.view is None or not (self.keep_views and self.store):
            return self.seen(self._decoded(path, version))
        view = self.store.get(
            f"{version} {self.view_name}", lambda: self.view(self._decoded(path, version)).numpy()
        )
        return torch.from_numpy(np.array(view))

    def seen(self, pixels: np.ndarray) -> Tensor:
        """Apply the transform to pixels, (height, width, 3), uint8."""
        if self.view is None:
            return self.transform(Image.fromarray(pixels))
        return self.view(pixels)

    def _decoded(self, path: str, version: str) -> np.ndarray:
        if self.store is None:
            return np.asarray(read_image(path, self.upright))
        return self.store.get(version, lambda: np.asarray(read_image(path, self.upright)))

    def _version(self, path: str) -> str:
        """Return a key of the decoded pixels; for a missing file, its path, because reading it
        raises the error."""
        version = file_version(path)
        turned = " upright" if self.upright else ""
        return path if version is None else f"{os.path.abspath(path)} {version}{turned}"
