"""Unpack the archives that are shipped in assets/."""

import os
import zipfile
from pathlib import Path

from ueo.fetch.archives import TEMPORARY, remove_left
from ueo.files import asset, verify, writing
from ueo.temporaries import temporary_folder


def unpack_embedded(name: str, root: str | Path) -> Path:
    """Return root/<name>, on first use unpacked from assets/<name>.zip, atomically.

    If several processes unpack at once, one wins and the others use its result. Raises DataError if
    the archive is damaged.
    """
    folder = Path(root).expanduser() / name
    if not folder.exists():
        archive = asset(f"{name}.zip")
        verify(archive, asset(f"{name}.zip.sha256").read_text().split()[0])
        print(f"Unpacking {archive.name} into {folder}")
        with temporary_folder(folder.parent, TEMPORARY) as temporary:
            with writing(folder), zipfile.ZipFile(archive) as file:
                file.extractall(temporary)
            try:
                os.rename(temporary / name, folder)
            except OSError:
                if not folder.is_dir():
                    raise
    remove_left(folder.parent)
    return folder
