"""Base classes of the CoOp family's image-recognition data sets: published splits, one domain.

Training and test images are disjoint under either protocol. In the default label space, "all",
every class is known. In the others the first half of the classes is known, as in base-to-new
generalisation; where L_u is not all of a half, it is half of it, a choice of ours.

With DATASET.NUM_SHOTS the shots are those that the CoOp family draws for the same seed. With
DATASET.SUBSAMPLE_CLASSES only the base or the new half of the known classes is used.
"""

import json
from pathlib import Path

from ueo.clip.prompts import TEMPLATE
from ueo.datasets.base import UFTDataset
from ueo.errors import DataError
from ueo.images.folders import Item, Unread, existing, images_below
from ueo.label_space import ClassCounts

NEEDED = "see docs/datasets.md for the layout"


def in_halves(total: int) -> ClassCounts:
    """Return the counts of `total` classes, of which the first half is known."""
    known = (total + 1) // 2
    partial = (known + 1) // 2
    return ClassCounts(total, known, partial, partial, seen_ood=(total - known) // 2)


class RecognitionDataset(UFTDataset):
    """A subclass sets, besides what UFTDataset asks for, `template`, the CoOp family's prompt for
    CTX_INIT "template", where it is not CLIP's."""

    settings = ("all",)
    published_split = True
    template = TEMPLATE

    def released(self, domain: str) -> tuple[list[Item], list[Item]]:
        return self.independent(domain)


class SplitFileDataset(RecognitionDataset):
    """Images listed by the published split_zhou_<name>.json.

    image_dir:  the folder to which its paths are relative, below the data set's.
    split_file: its name.
    split_id:   the id of the published file on Google Drive.
    """

    image_dir: str
    split_file: str
    split_id: str

    def setup(self, root: Path) -> None:
        self.image_root = root / self.image_dir
        self.split = read_split(root / self.split_file, self.split_id)
        names: dict[int, str] = {}
        for _, label, name in (row for part in self.split.values() for row in part):
            if names.setdefault(label, name) != name:
                raise DataError(
                    f"{root / self.split_file}: class {label} has two names, {names[label]!r} and "
                    f"{name!r}; fetch the file anew"
                )
        if sorted(names) != list(range(len(names))):
            raise DataError(f"{root / self.split_file}: class ids are not 0 to {len(names) - 1}")
        self.class_list = [names[label] for label in sorted(names)]

    def items(self, domain: str, part: str) -> list[Item]:
        listed = [(str(self.image_root / name), label) for name, label, _ in self.split[part]]
        return existing(listed, self.root / self.split_file, NEEDED)


def read_split(path: Path, drive_id: str) -> dict[str, list[tuple[str, int, str]]]:
    """Read {"train", "val", "test": [(path, class id, class name)]} of a published split.

    Raises DataError if it is missing: no split is drawn instead, since nobody else would have it.
    """
    try:
        split = json.loads(path.read_text(encoding="utf-8"))
        return {
            part: [(str(name), int(label), str(words)) for name, label, words in split[part]]
            for part in ("train", "val", "test")
        }
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: the published split is missing; it is the file {drive_id} of Google Drive "
            f"(https://drive.google.com/file/d/{drive_id}/view), {NEEDED}"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a published split ({error!r}); download it again") from error


def lines_of(path: Path) -> list[str]:
    """Read the lines of a text file of a data set. Raises DataError if it is missing."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: is missing or no text file; {NEEDED}") from error
    return [line.strip() for line in lines if line.strip()]


def images_of(folder: Path, unread: Unread) -> list[str]:
    """Return the paths of all images in a folder, at any depth, sorted. Raises DataError if there
    are none. unread: counts what else is there."""
    found = images_below(folder, unread)
    if not found:
        raise DataError(f"{folder}: holds no image; {NEEDED}")
    return found
