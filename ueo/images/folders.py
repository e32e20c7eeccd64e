"""List folders of images as people keep them; names may be spelt loosely (ueo/names.py).

Every listing ignores hidden files and counts the other files that it does not read.
"""

import heapq
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ueo.errors import DataError
from ueo.images.decoding import is_image_name
from ueo.names import did_you_mean, loose, match
from ueo.text import shown

Item = tuple[str, int]  # path, class id
FOLDER = "sub-folder"


@dataclass
class Unread:
    """Files and folders that listings left out. files: {suffix or other kind: how many}; paths:
    {path of such a file or folder: its kind, or FOLDER}."""

    files: Counter = field(default_factory=Counter)
    folders: int = 0
    paths: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.files or self.folders)

    def __str__(self) -> str:
        common = sorted(self.files.items(), key=lambda pair: (-pair[1], pair[0]))
        kinds = ", ".join(f"{kind} {n}" for kind, n in common[:6]) + ", ..." * (len(common) > 6)
        number = self.files.total()
        parts = [f"{number} file{'s' * (number != 1)} ({kinds})"] if number else []
        if self.folders:
            parts.append(f"{self.folders} folder{'s' * (self.folders != 1)}")
        return ", ".join(parts)

    def add(self, other: "Unread") -> None:
        """Add what another listing left out."""
        self.files.update(other.files)
        self.folders += other.folders
        self.paths.update(other.paths)

    def note(self, path: str, kind: str) -> None:
        """Count a file."""
        self.files[kind] += 1
        self.paths[path] = kind

    def read_folders(self) -> None:
        """Remove all folders from the counts, because they are read."""
        self.folders = 0
        self.paths = {path: kind for path, kind in self.paths.items() if kind != FOLDER}

    def forget(self, path: Path) -> None:
        """Remove a file from the counts, because it is read in another way."""
        if kind := self.paths.pop(str(path), None):
            self.files = +(self.files - Counter([kind]))

    def facts(self) -> dict:
        """Return the counts, for a record."""
        return {"files": dict(sorted(self.files.items())), "folders": self.folders}


def existing(items: list[Item], listed_in: Path, advice: str) -> list[Item]:
    """Return the items with their paths in the Unicode form on the disk. Raises DataError, which
    ends with `advice`, if an image is missing."""
    found = [(on_disk(path), label) for path, label in items]
    missing = [path for (path, _), (there, _) in zip(items, found) if there is None]
    if missing:
        raise DataError(
            f"{listed_in}: {len(missing)} of its {len(items)} images are missing, first "
            f"{missing[0]}; {advice}"
        )
    return found


def on_disk(path: str) -> str | None:
    """Return the path in the Unicode form on the disk, or None if nothing is there."""
    if os.path.lexists(path):
        return path
    forms = (unicodedata.normalize(form, path) for form in ("NFC", "NFD"))
    return next((form for form in forms if os.path.lexists(form)), None)


def _is_hidden(folder: str) -> bool:
    return folder.startswith((".", "__"))


def _holds(test: Callable[[], bool]) -> bool:
    """Whether a test of a folder's entry, which looks only links up on the disk, is true."""
    try:
        return test()
    except OSError:  # a link that leads to itself
        return False


def subfolders(folder: Path) -> list[Path]:
    """Return the folders inside `folder`, sorted, without hidden ones."""
    with os.scandir(folder) as entries:
        found = [e.path for e in entries if not _is_hidden(e.name) and _holds(e.is_dir)]
    return [Path(path) for path in sorted(found)]


def find_folder(parent: Path, names: Iterable[str]) -> Path | None:
    """Return the folder inside `parent` with the first of `names` that exists there, or None.

    Raises DataError if two folders have that name in different spellings.
    """
    present = subfolders(parent)
    for wanted in dict.fromkeys(map(loose, names)):
        found = [folder for folder in present if loose(folder.name) == wanted]
        if len(found) > 1:
            raise DataError(
                f"{parent}: the folders {found[0].name!r} and {found[1].name!r} have the same "
                "name in two spellings; remove one"
            )
        if found:
            return found[0]
    return None


def find_root(data_root: Path, folders: Iterable[str], inside: Iterable[str]) -> Path | None:
    """Return the folder that directly holds a folder or file named in `inside`, or None. Candidates
    are the first of `folders` in the data root and its subfolders; without it, the root itself."""
    if not data_root.is_dir():
        return None
    wanted = {loose(name) for name in inside}
    named = find_folder(data_root, folders)
    candidates = [named, *subfolders(named)] if named else [data_root]
    for folder in candidates:
        if any(loose(entry) in wanted for entry in os.listdir(folder)):
            return folder
    return None


def images_in(folder: str | Path, unread: Unread | None = None) -> list[str]:
    """Return the sorted paths of the images directly in `folder`.

    unread: counts everything else there. A dangling link counts as an image that cannot be read.
    """
    unread = Unread() if unread is None else unread
    images = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            named = is_image_name(entry.name)
            if named and _holds(entry.is_file):
                images.append(entry.path)
            elif _holds(entry.is_dir):
                if not _is_hidden(entry.name):
                    unread.folders += 1
                    unread.paths[entry.path] = FOLDER
            elif named and entry.is_symlink():
                images.append(entry.path)
            elif named:
                unread.note(entry.path, "no regular file")
            else:
                suffix = os.path.splitext(entry.name)[1].lower()
                unread.note(entry.path, shown(suffix) or "no suffix")
    return sorted(images)


def images_below(folder: str | Path, unread: Unread | None = None) -> list[str]:
    """Return the sorted paths of all images below `folder`, at any depth. Links to folders are
    followed unless they lead to a folder above themselves."""
    return list(each_image_below(folder, unread))


def each_image_below(folder: str | Path, unread: Unread | None = None) -> Iterator[str]:
    """Yield the paths of `images_below`, listing each folder only when its turn comes."""
    unread = Unread() if unread is None else unread

    def walk(folder: str | Path, above: frozenset) -> Iterator[str]:
        facts = os.stat(folder)
        place = facts.st_dev, facts.st_ino
        if place in above:
            return
        here = Unread()
        images = images_in(folder, here)
        here.read_folders()
        unread.add(here)
        folders = sorted(f"{path}{os.sep}" for path in subfolders(folder))
        for path in heapq.merge(images, folders):
            if path.endswith(os.sep):
                yield from walk(path.removesuffix(os.sep), above | {place})
            else:
                yield path

    if os.path.isdir(folder):
        yield from walk(folder, frozenset())


def class_folders(folder: Path, classes: Sequence[str]) -> dict[Path, int]:
    """Return {folder of a class: class id} for every class, skipping a level such as Office-31's
    images/. Raises DataError for a folder that is no class, two folders of one class, or a class
    without a folder."""
    found = subfolders(folder)
    if len(found) == 1 and loose(found[0].name) not in map(loose, classes):
        folder, found = found[0], subfolders(found[0])
    ids, unknown = match(classes, [path.name for path in found], str(folder))
    if unknown:
        raise DataError(
            f"{folder / unknown[0]}: {unknown[0]!r} is none of the {len(classes)} classes"
            f"{did_you_mean(unknown[0], classes)}; rename or remove this folder"
        )
    missing = [name for i, name in enumerate(classes) if i not in ids.values()]
    if missing:
        raise DataError(
            f"{folder}: no folder of the class {missing[0]!r}"
            + (f" and of {len(missing) - 1} more" if len(missing) > 1 else "")
            + "; the data set is incomplete"
        )
    return {path: ids[path.name] for path in found}


def class_items(folder: Path, classes: Sequence[str], unread: Unread | None = None) -> list[Item]:
    """Return (path, class id) of every image in the class folders of `folder`, by class, then name.

    unread: counts everything else in the class folders. Raises DataError as `class_folders` does,
    and for a class without images.
    """
    items = []
    for path, label in sorted(class_folders(folder, classes).items(), key=lambda pair: pair[1]):
        items += labelled_images(path, label, classes[label], unread)
    return items


def labelled_images(
    folder: Path, label: int, name: str, unread: Unread | None,
    listing: Callable[[Path, Unread], list[str]] = images_in,
) -> list[Item]:
    """Return (path, label) of the images in the folder of the class `name`, found by `listing`.
    Raises DataError if there are none."""
    left_out = Unread()
    images = listing(folder, left_out)
    if not images:
        instead = f", only {left_out}" if left_out else ""
        raise DataError(
            f"{folder}: no image in the folder of the class {name!r}{instead}; remove or fill it"
        )
    if unread is not None:
        unread.add(left_out)
    return [(image, label) for image in images]
