"""Images of a list as batches; what an unsupervised trainer may see, and nothing more."""

import torch
from dassl.data.datasets import Datum
from PIL import Image, UnidentifiedImageError
from torch.utils.data import DataLoader, Dataset, RandomSampler

from modern_dassl import distributed
from modern_dassl.loading import EpochLoader, random_state_of
from ueo.errors import DataError
from ueo.lists import NO_LABEL

HINT = "replace or remove it, or skip such images with DATASET.BAD_IMAGES skip"


def read_image(path: str) -> Image.Image:
    """The image as RGB. Raises DataError for a file that is missing, truncated or no image."""
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such image, restore it or unpack the data set anew") from error
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: no image that Pillow can read, {HINT}") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: damaged image ({error}), {HINT}") from error


class Images(Dataset):
    """Items of Dassl's form: img, label, domain, impath, index (position in the list).

    chosen: positions of the items that are used; all unless given.

    With `hide`, label is -1 and impath is empty: a folder's name is a class, so an unsupervised
    trainer sees neither.

    seed: of the epoch, or negative. An augmentation is drawn from it and the index alone, so that
    neither the number of worker processes nor an interruption changes a run. In shared memory,
    because workers outlive an epoch.
    """

    def __init__(self, items: list[Datum], transform, hide: bool = False,
                 chosen: list[int] | None = None):
        self.items, self.transform, self.hide = items, transform, hide
        self.chosen = range(len(items)) if chosen is None else chosen
        self.seed = torch.tensor(-1).share_memory_()

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, position: int) -> dict:
        index, seed = self.chosen[position], int(self.seed)
        item = self.items[index]
        image = read_image(item.impath)
        if seed < 0:
            image = self.transform(image)
        else:
            with random_state_of(seed + index):
                image = self.transform(image)
        return {
            "img": image,
            "label": NO_LABEL if self.hide else item.label,
            "domain": item.domain,
            "impath": "" if self.hide else item.impath,
            "index": index,
        }


def training_loader(images: Images, batch_size: int, workers: int) -> DataLoader:
    """Every image once an epoch in random order; the last, small batch is kept, as released. Under
    torchrun a process gets its share of each batch."""
    return EpochLoader(
        images,
        batch_size,
        RandomSampler(images, generator=torch.Generator()),
        drop_last=False,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=workers > 0,
    )


def evaluation_loader(images: Images, batch_size: int, workers: int) -> DataLoader:
    """Images in the order of the list; under torchrun a consecutive part of it. Its own generator
    keeps it from moving the global random state, so that how often a run evaluates never changes
    how it trains. Raises DataError for fewer images than processes."""
    part = distributed.share(range(len(images)))
    if not part:
        raise DataError(
            f"{len(images)} images are too few for {distributed.world_size()} processes"
        )
    return DataLoader(
        images,
        batch_size=batch_size,
        sampler=part,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator().manual_seed(0),
    )
