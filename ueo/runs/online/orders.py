"""The order of the images of a stream, and its batches.

An order may use labels, which a method never sees. It depends on the seed, the labels and the
domains alone; "correlated" also on the batch size.
"""

from collections.abc import Callable

import numpy as np

from ueo.errors import ConfigError
from ueo.images.lists import NO_LABEL

NEED_LABELS = ("correlated", "classes")


def _classes(labels: np.ndarray, rng: np.random.Generator, *_) -> np.ndarray:
    """Class after class; the classes, and the images of each, in random order."""
    images = rng.permutation(len(labels))
    rank = rng.permutation(labels.max() + 1)
    return images[rank[labels[images]].argsort(kind="stable")]


def _correlated(
    labels: np.ndarray, rng: np.random.Generator, gamma: float, size: int
) -> np.ndarray:
    """As in StatA (Zanella et al., CVPR 2025). There are as many time slots as batches or classes,
    whichever are fewer. Each class spreads its images over the slots by shares drawn from a
    Dirichlet distribution with parameter gamma. A slot's images come in random order."""
    classes = np.unique(labels)
    slots = max(min(len(labels) // size, len(classes)), 1)
    shares = rng.dirichlet([gamma] * slots, len(classes))
    images = rng.permutation(len(labels))
    slot = np.empty(len(labels), int)
    for label, share in zip(classes, shares):
        members = images[labels[images] == label]
        ends = (share.cumsum()[:-1] * len(members)).astype(int)
        for number, part in enumerate(np.split(members, ends)):
            slot[part] = number
    images = rng.permutation(len(labels))  # a new order: the first of the old are in early slots
    return images[slot[images].argsort(kind="stable")]


ORDERS: dict[str, Callable] = {  # (labels, generator, gamma, size of a batch) -> positions
    "listed": lambda labels, *_: np.arange(len(labels)),
    "shuffled": lambda labels, rng, *_: rng.permutation(len(labels)),
    "correlated": _correlated,
    "classes": _classes,
}


def batches(
    order: str, labels: np.ndarray, domains: np.ndarray, size: int, gamma: float, seed: int
) -> list[np.ndarray]:
    """Return the batches as positions in the list of images, domain after domain. No batch holds
    images of two domains.

    order: a key of ORDERS. labels, domains: (images,). size: of a batch; the last of a domain may
    be smaller. gamma: of "correlated". Raises ConfigError if an order needs missing labels.
    """
    if order in NEED_LABELS and (labels == NO_LABEL).any():
        raise ConfigError(
            f"ONLINE.ORDER: {order!r} is made from labels, which these images lack; use listed or "
            "shuffled"
        )
    found = []
    for domain in np.unique(domains):
        members = np.flatnonzero(domains == domain)
        rng = np.random.default_rng([max(seed, 0), int(domain)])
        coming = members[ORDERS[order](labels[members], rng, gamma, size)]
        found += np.split(coming, range(size, len(coming), size))
    return found
