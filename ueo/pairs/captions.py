"""Captions of images: a file of JSON lines, {"image": path below the data set, "captions": [...]}.

scripts/caption.sh writes such a file; any other tool may.
"""

import json
import os
from pathlib import Path

from ueo.errors import DataError
from ueo.files import asset
from ueo.images.lists import text_lines

EMBEDDED = "embedded"  # name of the file shipped in assets/
KEYS = {"image", "captions"}


def captions_of(source: str, items: list, root: Path) -> list[list[str]]:
    """Return the captions of each item (Dassl's Datum), in the order of `items`.

    source: the file, or EMBEDDED for that of the emoji data set, where a shifted picture has the
    captions of its drawing. root: the data set's folder; the file's paths are relative to it.
    Raises DataError as `read_captions` does, for an item without captions, and for an image that
    does not exist in `root`.
    """
    path = asset("emoji_captions.jsonl") if source == EMBEDDED else Path(source).expanduser()
    captions = read_captions(path)
    names = [Path(os.path.relpath(item.impath, root)).as_posix() for item in items]
    if source == EMBEDDED:
        names = [_drawing(name) for name in names]
    missing = [name for name in names if name not in captions]
    if missing:
        raise DataError(
            f"{path}: {len(missing)} of {len(names)} images have no caption, such as "
            f"{missing[0]!r}; caption them too (scripts/caption.sh)"
        )
    used = set(names)
    for name in captions:
        if name not in used and not Path(root, name).is_file():
            raise DataError(f"{path}: there is no image {name!r} in {root}")
    return [captions[name] for name in names]


def _drawing(name: str) -> str:
    """Return the drawing that a picture of the emoji set was made from: for
    shifted/DOMAIN/STYLE/CLASS/NAME.png, images/STYLE/CLASS/NAME.webp. A drawing is unchanged."""
    first, *rest = Path(name).parts
    return Path("images", *rest[1:]).with_suffix(".webp").as_posix() if first == "shifted" else name


def read_captions(path: str | Path) -> dict[str, list[str]]:
    """Return {image: captions} of a file, with at least one caption an image.

    Raises DataError for a file that is missing, empty or no text and, with the line's number, for a
    malformed line and a duplicate image or key.
    """
    captions, lines = {}, {}
    for number, line in enumerate(text_lines(Path(path)), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        image, texts = _parse(line, where)
        if image in captions:
            raise DataError(f"{where}: the image {image!r} is already in line {lines[image]}")
        captions[image], lines[image] = texts, number
    if not captions:
        raise DataError(f"{path}: holds no caption")
    return captions


def _parse(line: str, where: str) -> tuple[str, list[str]]:
    try:
        pairs = json.loads(line, object_pairs_hook=lambda found: found)
    except ValueError as error:
        raise DataError(f"{where}: not valid JSON ({error})") from error
    keys = [pair[0] for pair in pairs] if _is_object(pairs) else []
    if len(keys) != len(set(keys)):
        raise DataError(f"{where}: the key {max(keys, key=keys.count)!r} is there twice")
    if set(keys) != KEYS:
        raise DataError(f'{where}: expected {{"image": path, "captions": [texts]}}')
    image, texts = (dict(pairs)[key] for key in ("image", "captions"))
    if not isinstance(image, str) or not image:
        raise DataError(f"{where}: the image must be a path, not {image!r}")
    if not isinstance(texts, list) or not texts:
        raise DataError(f"{where}: {image!r} has no caption")
    for text in texts:
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"{where}: a caption of {image!r} is not text: {text!r}")
    return image, texts


def _is_object(pairs) -> bool:
    """Whether JSON read with an `object_pairs_hook` is an object: a list of pairs."""
    return isinstance(pairs, list) and all(isinstance(pair, tuple) for pair in pairs)
