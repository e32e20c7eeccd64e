"""The images that a report shows, and their thumbnails; their number is bounded."""

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ueo.errors import DataError
from ueo.images.decoding import read_image

MOST = 600  # thumbnails in one report
EACH = 8  # of each class: the most confident ones, and as many of the least confident
SPREAD, LOWEST, CHANGED = 120, 60, 60  # over all scores, at least; of low ones; of changed class
SIDE = 96  # pixels, the longer side
QUALITY = 75  # of JPEG
THREADS = 4


@dataclass(frozen=True)
class Shown:
    """Positions of the images that a report shows, in the order in which it shows them.

    classes: {class id: (most confident, least confident)}; everything: all of them, each once.
    """

    classes: dict[int, tuple[list[int], list[int]]]
    changed: list[int]
    everything: list[int]


def choose(predictions: np.ndarray, before: np.ndarray | None, scores: np.ndarray) -> Shown:
    """Choose all images if they are few; else the most and the least confident of each class,
    those of the lowest scores, some whose class changed, and some spread over all scores.

    predictions, before: (images,), class ids; scores: (images,). Classes with more images come
    first; if there are too many classes, those with the fewest images show none.
    """
    descending = np.argsort(-scores, kind="stable")
    present, counts = np.unique(predictions, return_counts=True)
    room = MOST - SPREAD - LOWEST - CHANGED
    order = present[np.argsort(-counts, kind="stable")][: room // 2]
    each = min(EACH, room // (2 * len(order)))
    classes = {}
    for chosen in order.tolist():
        members = descending[predictions[descending] == chosen].tolist()
        most = members[:each]
        classes[chosen] = most, members[len(most):][-each:]
    changed = [] if before is None else descending[(predictions != before)[descending]].tolist()
    changed = changed[:CHANGED]
    if len(scores) <= MOST:
        return Shown(classes, changed, descending.tolist())
    of_classes = [i for both in classes.values() for part in both for i in part]
    found = {*of_classes, *changed, *descending[-LOWEST:].tolist()}
    spread = np.linspace(0, len(scores) - 1, MOST - len(found)).round().astype(int)
    found.update(descending[spread].tolist())
    return Shown(classes, changed, [i for i in descending.tolist() if i in found])


def thumbnails(paths: Sequence[str]) -> list[bytes | None]:
    """Return a JPEG of at most SIDE x SIDE pixels of each image file, rotated by EXIF; None for one
    that cannot be read."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(_thumbnail, paths))


def _thumbnail(path: str) -> bytes | None:
    try:
        image = read_image(path, upright=True, enough=SIDE)
    except DataError:
        return None
    image.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
