"""The independent protocol: a stored split of a domain, so that no test image is adapted to.

The split is a function of class names and file names alone: within a class, images are ordered by a
hash and the first ones are tested. It does not depend on the machine, on the folder or on the
order of files; a copy stands beside the data, so that it can be read and carried elsewhere.
"""

import hashlib
from collections import defaultdict
from pathlib import Path

from ueo.errors import DataError
from ueo.files import read_json, write_json
from ueo.images.folders import Item
from ueo.names import normal

SEED = 0
REMOVE = "remove it, it is made anew"
TEST_SHARE = 0.3  # that of DomainNet's official split


def split(names: dict[str, Item]) -> tuple[list[str], list[str]]:
    """(train, test) of one domain: of each class TEST_SHARE of the images is tested, at least one,
    and one at least is left for training.

    names: {name of the image on every machine, such as "mug/00001.jpg": (path, class id)}.
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
    """Where an image stands in its class. Its name counts in Unicode's composed form, since some
    file systems keep another one."""
    return hashlib.sha256(f"{SEED}/{normal(name)}".encode(errors="surrogateescape")).digest()


def stored_split(
    names: dict[str, Item], file: Path, store: bool = True
) -> tuple[list[Item], list[Item]]:
    """The split in `file`; if there is none, made, and with `store` written there where it can be.

    Raises DataError when the file divides other images than `names`.
    """
    if file.is_file():
        train, test = _read(file, names)
    else:
        train, test = split(names)
    if store and not file.is_file():
        try:
            write_json(
                file, {"seed": SEED, "test_share": TEST_SHARE, "train": train, "test": test}
            )
        except OSError as error:
            print(f"{file}: the split cannot be stored ({error.strerror}); it is made each time")
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
            f"{file}: divides other images than are there ({len(set(listed) - set(names))} of its "
            f"images are missing, {len(set(names) - set(listed))} are not in it); restore the "
            "images, or remove the file for a new split"
        )
    return train, test
