"""Images of a list as batches; what an unsupervised trainer may see, and nothing more."""

import hashlib
import os
from collections.abc import Iterator

import numpy as np
import torch
from dassl.data.datasets import Datum
from dassl.data.transforms import build_transform
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler

from modern_dassl import distributed
from modern_dassl.loading import EpochLoader, random_state_of, torch_state_of
from ueo.errors import DataError
from ueo.files import file_version
from ueo.images.decoding import read_image
from ueo.images.hashes import store_folder
from ueo.images.lists import NO_LABEL
from ueo.images.pixel_cache import PixelStore, open_store
from ueo.images.transforms import Normaliser, fast_way, on_images, plain_way
from ueo.settings.config import setting_of


class Images(Dataset):
    """Items of Dassl's form: img, label, domain, impath, index (position in the list).

    img: (height, width, 3) uint8, to be normalised in batches (ueo/images/transforms.py); or what
    `transform` makes, where it does more than that after ToTensor.

    chosen: positions of the items that are used; all unless given.
    store:  where decoded images are kept; with `keep_views` also what the transform makes of them,
            for a transform without chance.
    plain:  torchvision's own transform alone.

    With `hide`, label is -1 and impath is empty: a folder's name is a class, so an unsupervised
    trainer sees neither.

    seed: of the epoch, or negative. An augmentation is drawn from it and the index alone, so that
    neither the number of worker processes nor an interruption changes a run. In shared memory,
    because workers outlive an epoch.
    """

    def __init__(self, items: list[Datum], transform, hide: bool = False,
                 store: PixelStore | None = None, keep_views: bool = False, plain: bool = False):
        self._items, self.transform, self.hide = items, transform, hide
        self.store, self.keep_views, self.plain = store, keep_views, plain
        self.chosen = range(len(items))
        self.seed = torch.tensor(-1).share_memory_()
        steps = on_images(transform)
        fast = None if steps is None or plain else fast_way(steps)
        self.view = fast or (None if steps is None else plain_way(steps))
        self.state_of = torch_state_of if fast else random_state_of  # the fast way draws by torch
        self.view_name = repr(transform)

    def only(self, chosen: list[int]) -> "Images":
        """The same images at these positions of the list alone."""
        part = Images(
            self._items, self.transform, self.hide, self.store, self.keep_views, self.plain
        )
        part.chosen = chosen
        return part

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, position: int) -> dict:
        index, seed = self.chosen[position], int(self.seed)
        item = self._items[index]
        if seed < 0:
            image = self._image(item.impath)
        else:
            with self.state_of(seed + index):
                image = self._image(item.impath)
        return {
            "img": image,
            "label": NO_LABEL if self.hide else item.label,
            "domain": item.domain,
            "impath": "" if self.hide else item.impath,
            "index": index,
        }

    def content_hash(self) -> str:
        """Of the pixels that the items hold, for a transform without chance."""
        digest = hashlib.sha256(self.view_name.encode())
        for position in self.chosen:
            version = _version(self._items[position].impath)
            digest.update(version.encode(errors="surrogateescape"))
        return digest.hexdigest()

    def _image(self, path: str) -> Tensor:
        version = _version(path) if self.store else ""
        if self.view is None:
            return self.transform(Image.fromarray(self._decoded(path, version)))
        if not (self.keep_views and self.store):
            return self.view(self._decoded(path, version))
        view = self.store.get(
            f"{version} {self.view_name}", lambda: self.view(self._decoded(path, version)).numpy()
        )
        return torch.from_numpy(np.array(view))

    def _decoded(self, path: str, version: str) -> np.ndarray:
        """(height, width, 3), uint8."""
        if self.store is None:
            return np.asarray(read_image(path))
        return self.store.get(version, lambda: np.asarray(read_image(path)))


def _version(path: str) -> str:
    """A name of the file's content; of a file that is not there, its path: reading it says what is
    wrong."""
    version = file_version(path)
    return path if version is None else f"{os.path.abspath(path)} {version}"


class _Normalised:
    """A loader whose images are normalised on the device, a batch at a time."""

    def __iter__(self) -> Iterator[dict]:
        for batch in super().__iter__():
            yield {**batch, "img": self.normalise(batch["img"])}


class TrainingLoader(_Normalised, EpochLoader):
    """Every image once an epoch in random order; the last, small batch is kept, as released. Under
    torchrun a process gets its share of each batch."""

    def __init__(self, images: Images, cfg, device: torch.device):
        workers = cfg.DATALOADER.NUM_WORKERS
        super().__init__(
            images,
            cfg.DATALOADER.TRAIN_X.BATCH_SIZE,
            RandomSampler(images, generator=torch.Generator()),
            drop_last=False,
            num_workers=workers,
            pin_memory=device.type == "cuda",
            persistent_workers=workers > 0,
        )
        self.normalise = Normaliser(cfg.INPUT, device)


class EvaluationLoader(_Normalised, DataLoader):
    """Images in the order of the list; under torchrun a consecutive part of it. Its own generator
    keeps it from moving the global random state, so that how often a run evaluates never changes
    how it trains. Raises DataError for fewer images than processes."""

    def __init__(self, images: Images, cfg, device: torch.device):
        part = distributed.share(range(len(images)))
        if not part:
            raise DataError(
                f"{len(images)} images are too few for {distributed.world_size()} processes"
            )
        super().__init__(
            images,
            batch_size=cfg.DATALOADER.TEST.BATCH_SIZE,
            sampler=part,
            num_workers=cfg.DATALOADER.NUM_WORKERS,
            pin_memory=device.type == "cuda",
            generator=torch.Generator().manual_seed(0),
        )
        self.normalise = Normaliser(cfg.INPUT, device)


def loaders(cfg, dataset, uses_labels: bool, device: torch.device):
    """(TrainingLoader, EvaluationLoader of the test set, that of the unlabelled set) of a run.

    Without `uses_labels` the batches of all three hold neither labels nor paths.
    """
    images = {item.impath for part in (dataset.test, dataset.train_u, dataset.train_x)
              for item in part}
    store = open_store(
        store_folder(cfg),
        f"{cfg.DATASET.NAME}-{dataset.domain}",
        len(images),
        setting_of(cfg, "STORE_GB"),
    )
    hide = not uses_labels
    training = Images(
        dataset.train_x if uses_labels else dataset.train_u,
        build_transform(cfg, is_train=True),
        hide,
        store=store,
        plain=setting_of(cfg, "PLAIN_TRANSFORM"),
    )
    transform = build_transform(cfg, is_train=False)
    test, unlabelled = (
        EvaluationLoader(Images(items, transform, hide, store, keep_views=True), cfg, device)
        for items in (dataset.test, dataset.train_u)
    )
    return TrainingLoader(training, cfg, device), test, unlabelled
