"""Check what runs need besides the machine: weights, data, a writable folder."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ueo.clip.architectures import ARCHITECTURES
from ueo.clip.towers.openai_files import absent, published_hash, weights_file
from ueo.errors import DataError
from ueo.files import sha256
from ueo.grids.choices import dataset_class
from ueo.machine.findings import NOTE, OK, WRONG, Finding


def weights() -> Iterator[Finding]:
    """Report whether each OpenAI backbone is in clip's cache with the right checksum."""
    for name in ARCHITECTURES:
        file = weights_file(name)
        if why := absent(name):
            yield Finding(NOTE, f"weights {name}", why)
        elif sha256(file) != published_hash(name):
            yield Finding(NOTE, f"weights {name}", f"{file} is damaged: the first run that needs "
                          "it fetches it again")
        else:
            yield Finding(OK, f"weights {name}", str(file))


def data(root: str, datasets: tuple[str, ...]) -> Iterator[Finding]:
    """Compare each domain with the published one, by number and names of files."""
    if not os.path.isdir(os.path.expanduser(root)):
        yield Finding(NOTE, "data root", f"{root}: no such folder; name yours with --root, or see "
                      "docs/datasets.md for its contents")
        return
    for name in datasets:
        kind = dataset_class(name)
        found = kind.find(root)
        if found is None:
            yield Finding(NOTE, f"data {name}", str(kind.not_there(root)))
            continue
        for domain in kind.domains:
            try:
                kind.domain_folder(found, domain)
            except DataError as error:
                yield Finding(NOTE, f"data {name} {domain}", str(error))
                continue
            for _, good, message in kind.check(root, {domain}):
                yield Finding(OK if good else WRONG, f"data {name} {domain}", message)


def output(folder: str) -> Iterator[Finding]:
    """Report whether records can be written, without creating a folder."""
    try:
        with tempfile.TemporaryFile(dir=existing(folder)):
            yield Finding(OK, "output", f"{folder} can be written")
    except OSError as error:
        yield Finding(WRONG, "output", f"{folder} cannot be written ({error.strerror}): name "
                      "another with --output")


def existing(folder: str) -> Path:
    """Return the path, or its nearest parent that exists."""
    path = Path(folder).expanduser().absolute()
    while not path.exists():
        path = path.parent
    return path
