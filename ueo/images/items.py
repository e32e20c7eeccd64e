"""Images of a list as items; what an unsupervised trainer may see, and nothing more."""

import copy
import hashlib
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

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
from ueo.images.transforms import fast_steps, fast_way, on_images, plain_way

SAMPLE = 64  # images whose sizes tell about all


class Images(Dataset):
    """Items of Dassl's form: img, label, domain, impath, index (position in the list).

    img: (height, width, 3) uint8, to be normalised in batches (ueo/images/transforms.py); or what
    `transform` makes, where it does more than that after ToTensor.

    chosen: positions of the items that are used; all unless given.
    store:  where decoded images are kept; with `keep_views` also what the transform makes of them,
            for a transform without chance.
    plain:  torchvision's own transform alone.
    upright: turned as the camera noted (EXIF), else as the pixels are stored.
    fast:   (RandomResizedCrop, further steps) where the transform has a fast way; else None.

    With `hide`, label is -1 and impath is empty: a folder's name is a class, so an unsupervised
    trainer sees neither.

    seed: of the epoch, or negative. An augmentation is drawn from it and the index alone, so that
    neither the number of worker processes nor an interruption changes a run. In shared memory,
    because workers outlive an epoch.
    """

    def __init__(self, items: list[Datum], transform, hide: bool = False,
                 store: PixelStore | None = None, keep_views: bool = False, plain: bool = False,
                 upright: bool = False):
        self._items, self.transform, self.hide = items, transform, hide
        self.store, self.keep_views, self.plain = store, keep_views, plain
        self.upright = upright
        self.chosen = range(len(items))
        self.seed = torch.tensor(-1).share_memory_()
        steps = on_images(transform)
        self.fast = None if steps is None or plain else fast_steps(steps)
        self.view = None if steps is None else plain_way(steps)
        if self.fast:
            self.view = fast_way(*self.fast)
        # the fast way draws by torch
        self.state_of = torch_state_of if self.fast else random_state_of
        self.view_name = repr(transform)

    def only(self, chosen: list[int]) -> "Images":
        """The same images at these positions of the list alone."""
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
        """The random state in which the image at `index` of the list is seen."""
        seed = int(self.seed)
        return nullcontext() if seed < 0 else self.state_of(seed + index)

    def facts(self, positions: Sequence[int]) -> dict:
        """A batch of items without their images, as a DataLoader puts it together."""
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
        """Height and width of the image as it is decoded, which mostly need not be done."""
        path = self._items[self.chosen[position]].impath
        kept = self.store.shape(self._version(path)) if self.store else None
        return kept or image_size(path, self.upright)

    def decoded_bytes(self) -> int:
        """Bytes of all images together when decoded, about: from the sizes of a few."""
        sample = range(0, len(self), -(-len(self) // SAMPLE))
        return int(3 * len(self) * np.mean([np.prod(self.size(i)) for i in sample]))

    def decoded(self, position: int) -> np.ndarray:
        """(height, width, 3), uint8; not to be written to."""
        path = self._items[self.chosen[position]].impath
        return self._decoded(path, self._version(path) if self.store else "")

    def content_hash(self) -> str:
        """Of the pixels that the items hold, for a transform without chance."""
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
        """What the transform makes of (height, width, 3), uint8."""
        if self.view is None:
            return self.transform(Image.fromarray(pixels))
        return self.view(pixels)

    def _decoded(self, path: str, version: str) -> np.ndarray:
        if self.store is None:
            return np.asarray(read_image(path, self.upright))
        return self.store.get(version, lambda: np.asarray(read_image(path, self.upright)))

    def _version(self, path: str) -> str:
        """A name of the decoded pixels; of a file that is not there, its path: reading it says what
        is wrong."""
        version = file_version(path)
        turned = " upright" if self.upright else ""
        return path if version is None else f"{os.path.abspath(path)} {version}{turned}"
