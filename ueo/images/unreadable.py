"""Find unreadable images before they stop a run, for DATASET.BAD_IMAGES "skip"."""

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from ueo.errors import DataError
from ueo.files import exclusive, file_version, store_json
from ueo.images.decoding import HINT, RESTORE, read_image
from ueo.images.folders import Item
from ueo.text import shown


def without_unreadable(
    parts: Sequence[list[Item]], report: Path
) -> tuple[list[list[Item]], dict[str, str]]:
    """Return the lists without unreadable images, and {path: reason} of those, which are printed.

    report: see `unreadable`. Raises DataError if no image can be read.
    """
    paths = sorted({path for part in parts for path, _ in part})
    reasons = unreadable(paths, report)
    if paths and len(reasons) == len(paths):
        raise DataError(f"{paths[0]}: {reasons[paths[0]]}; no other image can be read either")
    say_skipped(reasons)
    return [[item for item in part if item[0] not in reasons] for part in parts], reasons


def say_skipped(reasons: dict[str, str]) -> None:
    """Print a line for each skipped image. reasons: from `damaged`."""
    for path, reason in reasons.items():
        print(f"Skipped {shown(path)}: {shown(reason)}")


def unreadable(paths: list[str], report: Path) -> dict[str, str]:
    """Return {path: reason} of the images that cannot be decoded.

    The result is cached in the file `report` and reused while the images' names, sizes and times
    stay the same. Concurrent runs wait for one to check the images.
    """
    with exclusive(report.with_suffix(".lock")):
        names = {os.path.relpath(path, report.parent): path for path in paths}
        fingerprint = _fingerprint(names)
        try:
            known = json.loads(report.read_text())
            if known["fingerprint"] == fingerprint:
                return {names[name]: reason for name, reason in known["unreadable"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            pass  # there is no report yet, or it is damaged
        reasons = damaged(list(names.values()))
        found = {name: reasons[path] for name, path in names.items() if path in reasons}
        data = {"images": len(paths), "unreadable": found, "fingerprint": fingerprint}
        store_json(report, data, "images are checked each time")
        return {names[name]: reason for name, reason in found.items()}


def damaged(paths: list[str]) -> dict[str, str]:
    """Decode each image and return {path: reason} of those that fail."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        reasons = pool.map(_reason, paths)
        shown = tqdm(reasons, total=len(paths), desc="check images", disable=None)
        return {path: reason for path, reason in zip(paths, shown) if reason}


def _reason(path: str) -> str | None:
    try:
        read_image(path)
        return None
    except DataError as error:
        return why_unreadable(path, error)


def why_unreadable(path: object, error: DataError) -> str:
    """Shorten an error of `read_image`, as to "damaged image (truncated)". path: the file, or an
    object whose str() is its name."""
    said = str(error).removeprefix(f"{path}: ")
    return said.removesuffix(f", {HINT}").removesuffix(f", {RESTORE}")


def _fingerprint(names: dict[str, str]) -> str:
    digest = hashlib.sha256()
    for name, path in names.items():
        digest.update(f"{name} {file_version(path)}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()
