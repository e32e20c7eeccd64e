"""Hash the images that a result depends on: their list, labels and contents (ueo/inputs.py).

The hashes of contents are cached beside the data, so that later runs need not read the images.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from ueo.errors import DataError
from ueo.files import digests, exclusive, file_version, store_json
from ueo.images.lists import NO_LABEL
from ueo.inputs import CLASS_NAMES, IMAGE_LIST, IMAGES, LABELS, Inputs
from ueo.settings.config import setting_of

MISSING, UNREADABLE = "missing", "unreadable"  # instead of a content hash
EMPTY = hashlib.blake2b(digest_size=16).hexdigest()  # of an empty file
HASHES = "hashes.json"  # end of a cache file's name


def short_hash(data, digits: int = 12) -> str:
    """Return hexadecimal digits of the SHA-256 of `data`, which must be valid JSON."""
    return hashlib.sha256(json.dumps(data).encode()).hexdigest()[:digits]


class Files(NamedTuple):
    """Image files of a domain: {path: name relative to a root}, {path: hash of the content}."""

    names: dict[str, str]
    contents: dict[str, str]


def files_of(paths: Iterable[str], root: Path, cache: Path | None) -> Files:
    """Return the Files of `paths`. Names are relative to `root`, so that a copy of the data has the
    same inputs. cache: see `content_hashes`."""
    names = relative_names(paths, root)
    return Files(names, content_hashes(names, cache))


def of_data(
    names: Sequence[str], parts: Sequence[Sequence[tuple[str, int]]], files: Files,
    all_named: bool = True,
) -> Inputs:
    """Return the inputs of one domain: class names, lists, labels and contents of its images.

    names: by class id. parts: lists of (path, class id), such as the unlabelled and the test list;
    their order matters. files: of their images. all_named: every class has a name; DataError is
    raised for an id without one, and for an image listed twice if all parts have the same images.
    """
    if all_named:
        _check_items(parts, len(names))
    listed = [[files.names[path] for path, _ in part] for part in parts]
    paths = dict.fromkeys(path for part in parts for path, _ in part)
    return {
        CLASS_NAMES: _counted(names),
        IMAGE_LIST: f"{len(paths):,} ({short_hash(listed)})",
        LABELS: short_hash([[label for _, label in part] for part in parts]),
        IMAGES: _counted([files.contents[path] for path in paths]),
    }


def _check_items(parts: Sequence[Sequence[tuple[str, int]]], number: int) -> None:
    """Raise DataError as `of_data` does. number: how many classes there are."""
    items = [item for part in parts for item in part]
    allowed = range(NO_LABEL, number)
    for path, label in items:
        if type(label) is not int or label not in allowed:
            hint = "; does it count from 1?" if label == number else ""
            raise DataError(f"{path!r} has class id {label!r}; ids go from 0 to {number - 1}, "
                            f"converted by int(), and {NO_LABEL} means no label{hint}")
    counts = Counter(path for path, _ in parts[0])
    if len(counts) < len(parts[0]) and all({*part} == {*parts[0]} for part in parts):
        path, _ = counts.most_common(1)[0]
        raise DataError(f"{path!r} is listed twice; the data set's items() gives each image to one "
                        "part alone")


def relative_names(paths: Iterable[str], root: Path) -> dict[str, str]:
    """Return {path: its name relative to `root`}, in the order of `paths`, without duplicates.
    Raises DataError for a path that is no str."""
    start, paths = f"{root}{os.sep}", dict.fromkeys(paths)
    for path in paths:
        if not isinstance(path, str):
            raise DataError(f"{str(path)!r} is given as a {type(path).__name__}; convert it by "
                            "str()")
    return {
        path: path[len(start):] if path.startswith(start) else os.path.relpath(path, root)
        for path in paths
    }


def _counted(items: Sequence[str]) -> str:
    return f"{len(items):,} ({short_hash(list(items))})"


def cache_of(cfg, name: str) -> Path | None:
    """Return the cache file of content hashes for `name`, such as a domain, or None."""
    folder = store_folder(cfg)
    return folder and folder / f"{name.replace('/', '_')}-{HASHES}"


def store_folder(cfg) -> Path | None:
    """Return the cache folder of the images: DATASET.STORE, or .decoded in the data root. For a
    user's own images, whose folder is never written to, it is the user's cache. None if there is no
    data root: nothing is ever written to the current folder."""
    if not setting_of(cfg, "STORE") and setting_of(cfg, "PATH"):
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "ueo"
    named = setting_of(cfg, "STORE") or (cfg.DATASET.ROOT and Path(cfg.DATASET.ROOT, ".decoded"))
    return Path(named).expanduser() if named else None


def content_hashes(names: dict[str, str], cache: Path | None) -> dict[str, str]:
    """Return {path: hash of the file's content}, or MISSING or UNREADABLE instead of the hash.

    names: {path: its name in the cache}. A hash in the file `cache`, if there is one, is reused
    while the file's size, mtime and ctime stay the same. Concurrent processes wait for one to read.
    """
    facts = {path: file_version(path) for path in names}
    with exclusive(cache.with_suffix(".lock")) if cache else nullcontext():
        kept = _read_cache(cache)
        known = {p: kept[n][1] for p, n in names.items()
                 if facts[p] and kept.get(n, [None])[0] == facts[p]}
        known.update((p, EMPTY) for p in names if facts[p] and facts[p][0] == 0)
        todo = [p for p in names if facts[p] and p not in known]
        known.update(zip(todo, _hash_all(todo)))
        if todo and cache:
            kept.update({names[p]: [facts[p], known[p]] for p in todo})
            store_json(cache, kept, "images are read at each start")
    return {path: known.get(path, MISSING) for path in names}


def check_unchanged(dataset, cfg) -> None:
    """Raise DataError if an image or a shard in use has another content than in `dataset.files`:
    the run's inputs would state other images than it read. Files that are gone by now, and shards
    that are not local, do not count."""
    names, contents = dataset.files
    now = content_hashes(names, cache_of(cfg, f"{cfg.DATASET.NAME}-{dataset.domain}"))
    gone = (MISSING, UNREADABLE)
    changed = [p for p in names if now[p] not in (contents[p], *gone) and p not in dataset.skipped]
    if changed:
        raise DataError(
            f"{changed[0]}: was replaced during the run ({len(changed)} such files), so the "
            "results are of no single set of images and are not kept; start the run again"
        )


def _hash_all(paths: list[str]) -> Iterable[str]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        hashes = pool.map(content_hash, paths)
        yield from tqdm(hashes, total=len(paths), desc="read images", disable=None, leave=False)


def content_hash(path: str | Path) -> str:
    """Return 32 hexadecimal digits of a file's BLAKE2b, or UNREADABLE."""
    try:
        return digests(path, hashlib.blake2b(digest_size=16))[0]
    except OSError:
        return UNREADABLE


def _read_cache(cache: Path | None) -> dict[str, list]:
    """Return {name: [facts, hash]}; empty if the cache is missing or damaged."""
    if cache is None:
        return {}
    try:
        found = json.loads(cache.read_text())
        return {n: [tuple(facts), str(value)] for n, (facts, value) in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def of_file(path: str | Path, cache: Path | None) -> str:
    """Return the hash of a file, or of all files below a folder; "missing" if there is neither."""
    path = Path(path).expanduser().absolute()
    if not path.is_dir():
        return content_hashes({str(path): str(path)}, cache)[str(path)]
    files = sorted(os.path.join(where, n) for where, _, found in os.walk(path) for n in found)
    hashes = content_hashes({file: file for file in files}, cache)
    return _counted([f"{os.path.relpath(file, path)} {value}" for file, value in hashes.items()])
