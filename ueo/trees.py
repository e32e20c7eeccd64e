"""Folders of images as people keep them: found whatever the spelling of their names.

"Real World", "RealWorld" and "real_world" are one name here: case and everything that is neither
letter nor digit are ignored.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from ueo.errors import DataError
from ueo.names import nearest

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm")

Item = tuple[str, int]  # path, class id


def key(name: str) -> str:
    """What is compared of a name: "Real_World" -> "realworld"."""
    return "".join(c for c in name.casefold() if c.isalnum())


def existing(items: list[Item], listed_in: Path, advice: str) -> list[Item]:
    """The items themselves. Raises DataError, ending in `advice`, when an image is missing."""
    missing = [path for path, _ in items if not os.path.isfile(path)]
    if missing:
        raise DataError(
            f"{listed_in}: {len(missing)} of its {len(items)} images are missing, first "
            f"{missing[0]}; {advice}"
        )
    return items


def subfolders(folder: Path) -> list[Path]:
    """Folders inside `folder`, hidden ones left out, in the order of names."""
    with os.scandir(folder) as entries:
        found = [e.path for e in entries if not e.name.startswith((".", "__")) and e.is_dir()]
    return [Path(path) for path in sorted(found)]


def find_folder(parent: Path, names: Iterable[str]) -> Path | None:
    """The folder inside `parent` that has one of `names`, earlier ones first; None without one.

    Raises DataError when two folders have the same name in different spellings.
    """
    present = subfolders(parent)
    for wanted in dict.fromkeys(map(key, names)):
        found = [folder for folder in present if key(folder.name) == wanted]
        if len(found) > 1:
            raise DataError(
                f"{parent}: the folders {found[0].name!r} and {found[1].name!r} have the same "
                "name in two spellings; remove one"
            )
        if found:
            return found[0]
    return None


def find_root(data_root: Path, folders: Iterable[str], inside: Iterable[str]) -> Path | None:
    """The folder that directly holds a folder or file named in `inside`: below the data root in one
    of `folders` or in what that was unpacked to, or the data root itself. None without one."""
    if not data_root.is_dir():
        return None
    wanted = {key(name) for name in inside}
    named = find_folder(data_root, folders)
    candidates = [named, *subfolders(named)] if named else [data_root]
    for folder in candidates:
        if any(key(entry) in wanted for entry in os.listdir(folder)):
            return folder
    return None


def images_in(folder: Path) -> list[str]:
    """Paths of the images directly in `folder`, in the order of names."""
    with os.scandir(folder) as entries:
        return sorted(
            e.path
            for e in entries
            if e.name.lower().endswith(IMAGE_SUFFIXES) and not e.name.startswith(".")
        )


def class_folders(folder: Path, classes: Sequence[str]) -> dict[Path, int]:
    """{folder of a class: class id} for every class; a level such as Office-31's images/ between is
    stepped over. Raises DataError for a folder that is no class and for a class without folder."""
    ids = {key(name): i for i, name in enumerate(classes)}
    found = subfolders(folder)
    if len(found) == 1 and key(found[0].name) not in ids:
        folder, found = found[0], subfolders(found[0])
    labels = {}
    for path in found:
        label = ids.get(key(path.name))
        if label is None:
            raise DataError(
                f"{path}: {path.name!r} is none of the {len(classes)} classes"
                f"{nearest(path.name, classes)}; rename or remove this folder"
            )
        if label in labels.values():
            raise DataError(f"{path}: a second folder of the class {classes[label]!r}; remove one")
        labels[path] = label
    missing = [name for i, name in enumerate(classes) if i not in labels.values()]
    if missing:
        raise DataError(
            f"{folder}: no folder of the class {missing[0]!r}"
            + (f" and of {len(missing) - 1} more" if len(missing) > 1 else "")
            + "; the data set is incomplete"
        )
    return labels


def class_items(folder: Path, classes: Sequence[str]) -> list[Item]:
    """(path, class id) of every image in the class folders below `folder`, by class, then name.

    Raises DataError as `class_folders` does, and for a class without an image.
    """
    items = []
    for path, label in sorted(class_folders(folder, classes).items(), key=lambda pair: pair[1]):
        images = images_in(path)
        if not images:
            raise DataError(f"{path}: no image in the folder of the class {classes[label]!r}")
        items += [(image, label) for image in images]
    return items
