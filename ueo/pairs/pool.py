"""A pool of image-text pairs: a folder, a tar archive in WebDataset's form, or a folder of those.

In a folder, each image has its text beside it (`a/b.jpg`, `a/b.txt`). In a tar archive, the members
of a pair share the name up to the first dot (`000001.jpg`, `000001.txt`); others are ignored.
"""

import hashlib
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from PIL import Image
from torch.utils.data import DataLoader, Dataset, RandomSampler

from modern_dassl.loading import EpochLoader, Seeded
from ueo.errors import DataError
from ueo.fetch.archives import refuse_cut
from ueo.fetch.embedded import unpack_embedded
from ueo.files import file_version
from ueo.images.decoding import image_suffixes, read_image
from ueo.images.lists import NO_LABEL
from ueo.images.unreadable import why_unreadable
from ueo.pairs.captions import EMBEDDED

TEXT = "txt"
EMBEDDED_POOL = "icon_pool"


class Pool:
    """Image-text pairs by position, 0 .. len - 1, sorted by name.

    identity: a hash that changes if a file of the pool changes (by name, size or times).
    """

    identity: str

    def __len__(self) -> int:
        return len(self.entries)

    def read(self, position: int, part: int) -> bytes:
        """Return the bytes of the image (part 0) or of the text (part 1)."""
        raise NotImplementedError

    def name(self, position: int) -> str:
        """Return the location of a pair's image, for messages."""
        raise NotImplementedError

    def image(self, position: int) -> Image.Image:
        """Return the image as RGB. Raises DataError if it cannot be read."""
        name = self.name(position)
        try:
            return read_image(name, data=self.read(position, 0))
        except OSError as error:
            raise DataError(f"{name}: cannot be read ({error}), remove the pair") from error
        except DataError as error:
            raise DataError(f"{name}: {why_unreadable(name, error)}, remove the pair") from error

    def text(self, position: int) -> str:
        """Return the text. Raises DataError if it is empty or not UTF-8."""
        try:
            text = " ".join(self.read(position, 1).decode("utf-8-sig").split())
        except UnicodeDecodeError as error:
            raise DataError(f"{self.name(position)}: its text is not UTF-8") from error
        except OSError as error:
            raise DataError(f"{self.name(position)}: its text cannot be read ({error})") from error
        if not text:
            raise DataError(f"{self.name(position)}: its text is empty, remove the pair")
        return text


class FolderPool(Pool):
    """Images anywhere below a folder, each with its text beside it."""

    def __init__(self, folder: Path, files: list[Path]):
        self.folder = folder
        names = sorted(f.relative_to(folder).as_posix() for f in files)
        pairs = _pairs(((n.rpartition("."), n) for n in names), folder)
        self.entries = [pairs[key] for key in sorted(pairs)]
        self.identity = _identity(folder, (n for entry in self.entries for n in entry))

    def read(self, position: int, part: int) -> bytes:
        return Path(self.folder, self.entries[position][part]).read_bytes()

    def name(self, position: int) -> str:
        return str(self.folder / self.entries[position][0])


class TarPool(Pool):
    """Pairs in uncompressed tar archives, read without unpacking."""

    def __init__(self, folder: Path, archives: list[Path]):
        self.archives, self.entries = sorted(archives), []
        for number, archive in enumerate(self.archives):
            pairs = _pairs(_members(archive), archive)
            self.entries += [(number, *pairs[key]) for key in sorted(pairs)]
        self.identity = _identity(folder, (a.relative_to(folder) for a in self.archives))

    def read(self, position: int, part: int) -> bytes:
        number, *pair = self.entries[position]
        offset, size, _ = pair[part]
        with open(self.archives[number], "rb") as file:
            file.seek(offset)
            return file.read(size)

    def name(self, position: int) -> str:
        number, (_, _, name), _ = self.entries[position]
        return f"{self.archives[number]}, member {name}"


def open_pool(source: str, root: str) -> Pool:
    """Open the pool at a path, or unpack the shipped one, EMBEDDED, into the data root.

    Raises DataError, naming the file, if there is no pair, if an image lacks its text or a text its
    image, or if two images or two texts have the same name.
    """
    if source == EMBEDDED:
        path = unpack_embedded(EMBEDDED_POOL, root)
    else:
        path = Path(source).expanduser()
    if path.is_file():
        pool = TarPool(path.parent, [path])
    elif path.is_dir():
        files = [file for file in path.rglob("*") if file.is_file()]
        archives = [file for file in files if file.suffix == ".tar"]
        pool = TarPool(path, archives) if archives else FolderPool(path, files)
    else:
        raise DataError(f"{path}: no such pool of image-text pairs, neither a folder nor a tar")
    if not len(pool):
        raise DataError(f"{path}: holds no image-text pair (an image and a .{TEXT} of one name)")
    return pool


def _members(archive: Path) -> Iterable[tuple[tuple[str, str, str], tuple[int, int, str]]]:
    """Yield ((key, ".", ending), (offset, size, name)) for each file in a tar archive."""
    try:
        with tarfile.open(archive, "r:") as opened:
            for member in opened:
                if member.isfile():
                    folder, name = PurePosixPath(member.name).parent, Path(member.name).name
                    key, dot, ending = name.partition(".")
                    where = (member.offset_data, member.size, member.name)
                    yield (f"{folder}/{key}", dot, ending), where
            refuse_cut(opened)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(
            f"{archive}: not readable as an uncompressed tar archive ({error})"
        ) from error


def _pairs(files: Iterable, where: Path) -> dict:
    """Return {key: (image, text)}. files: ((key, ".", ending), the file's entry)."""
    images, texts = {}, {}
    for (key, _, ending), file in files:
        ending = ending.lower()
        if ending != TEXT and f".{ending}" not in image_suffixes():
            continue
        found = texts if ending == TEXT else images
        if key in found:
            what = "texts" if ending == TEXT else "images"
            raise DataError(f"{where}: two {what} have the name {key!r}; a pair has one of each")
        found[key] = file
    for some, others, what in ((images, texts, "text"), (texts, images, "image")):
        alone = min(some.keys() - others.keys(), default=None)
        if alone is not None:
            raise DataError(f"{where}: {alone!r} has no {what}; add it or remove the other half")
    return {key: (images[key], texts[key]) for key in images}


def _identity(folder: Path, names: Iterable) -> str:
    digest = hashlib.sha256()
    for name in names:
        digest.update(os.fsencode(f"{name}\0{file_version(folder / name)}\n"))
    return digest.hexdigest()


class Pairs(Dataset):
    """Transformed images of chosen pairs: img, label (none), index (position in `chosen`)."""

    def __init__(self, pool: Pool, chosen, transform):
        self.pool, self.chosen, self.transform = pool, chosen, transform

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, index: int) -> dict:
        image = self.transform(self.pool.image(self.chosen[index]))
        return {"img": image, "label": NO_LABEL, "index": index}


def pair_loader(pairs: Pairs, batch_size: int, workers: int) -> DataLoader:
    """Every pair once in random order; the epoch's seed and the index determine augmentations."""
    seeded = Seeded(pairs)
    return EpochLoader(seeded, batch_size, RandomSampler(seeded), drop_last=False,
                       num_workers=workers, persistent_workers=workers > 0)
