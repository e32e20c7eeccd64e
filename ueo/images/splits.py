"""The independent protocol: a stored split of a domain, so that no test image is adapted to.

The split depends only on class names and file names, not on the machine, the folder or the order of
files: the images of a class are ordered by a hash and the first ones are tested. A copy is stored
beside the data, to be read and copied.
"""

import hashlib
from collections import defaultdict
from pathlib import Path

from ueo.errors import DataError
from ueo.files import read_json, store_json
from ueo.images.folders import Item
from ueo.names import normal

SEED = 0
REMOVE = "remove it, and it is made anew"
TEST_SHARE = 0.3  # as in DomainNet's official split


def split(names: dict[str, Item]) -> tuple[list[str], list[str]]:
    """Return (train, test) of one domain. TEST_SHARE of each class is tested, at least one image,
    and at least one image is left for training.

    names: {machine-independent name of an image, such as "mug/00001.jpg": (path, class id)}.
    """
    by_class = defaultdict(list)
    for name, (_, label) in names.items():
        by_class[label].append(name)
    tested = set()
    for members in by_class.values():
        members.sort(key=_place)
        number = min(max(round(TEST_SHARE * len(members)), 1), len(members) - 1)
        tested.update(members[:number])
    return [n for n in names if n not in tested], [n for n in names if n in tested]


def _place(name: str) -> bytes:
    """Return the sort key of an image in its class: a hash of its name, in Unicode's composed form
    because some file systems store another one."""
    return hashlib.sha256(f"{SEED}/{normal(name)}".encode(errors="surrogateescape")).digest()


def stored_split(
    names: dict[str, Item], file: Path, store: bool = True
) -> tuple[list[Item], list[Item]]:
    """Read the split in `file`. If there is none, make it and, with `store`, try to write it there.

    Raises DataError if the file divides other images than `names`.
    """
    if file.is_file():
        train, test = _read(file, names)
    else:
        train, test = split(names)
    if store and not file.is_file():
        data = {"seed": SEED, "test_share": TEST_SHARE, "train": train, "test": test}
        store_json(file, data, "the split is made each time")
    return [names[n] for n in train], [names[n] for n in test]


def _read(file: Path, names: dict[str, Item]) -> tuple[list[str], list[str]]:
    try:
        parts = read_json(file, dict, REMOVE)
        train, test = parts["train"], parts["test"]
        listed = [*train, *test]
        different = sorted(listed) != sorted(names)
    except (KeyError, TypeError) as error:
        raise DataError(f"{file}: not a readable split; {REMOVE}") from error
    if different:
        raise DataError(
            f"{file}: does not match the images ({len(set(listed) - set(names))} of its images are "
            f"missing, {len(set(names) - set(listed))} are not in it); restore the images, or "
            "remove the file for a new split"
        )
    return train, test
