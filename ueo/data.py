"""Images of a list as batches; what an unsupervised trainer may see, and nothing more."""

import torch
from dassl.data.datasets import Datum
from PIL import Image, UnidentifiedImageError
from torch.utils.data import DataLoader, Dataset

from ueo.errors import DataError

NO_LABEL = -1


def read_image(path: str) -> Image.Image:
    """The image as RGB. Raises DataError for a file that is missing, truncated or no image."""
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such image, restore it or unpack the data set anew") from error
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: no image that Pillow can read, replace or remove it") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: damaged image ({error}), replace or remove it") from error


class Images(Dataset):
    """Items of Dassl's form: img, label, domain, impath, index (position in the list).

    With `hide`, label is -1 and impath is empty: a folder's name is a class, so an unsupervised
    trainer sees neither.
    """

    def __init__(self, items: list[Datum], transform, hide: bool = False):
        self.items, self.transform, self.hide = items, transform, hide

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict:
        item = self.items[index]
        return {
            "img": self.transform(read_image(item.impath)),
            "label": NO_LABEL if self.hide else item.label,
            "domain": item.domain,
            "impath": "" if self.hide else item.impath,
            "index": index,
        }


def training_loader(images: Images, batch_size: int, workers: int) -> DataLoader:
    """Every image once an epoch in random order; the last, small batch is kept, as released."""
    return DataLoader(
        images,
        batch_size=batch_size,
        shuffle=True,
        drop_last=False,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=workers > 0,
    )


def evaluation_loader(images: Images, batch_size: int, workers: int) -> DataLoader:
    """Images in the order of the list. Its own generator keeps it from moving the global random
    state, so that how often a run evaluates never changes how it trains."""
    return DataLoader(
        images,
        batch_size=batch_size,
        shuffle=False,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator().manual_seed(0),
    )
