"""Samplers over lists of Datum: random or in order, by domain, by class."""

import random
from collections import defaultdict
from collections.abc import Iterator

from dassl.utils import ConfigValueError, check_availability
from torch.utils.data import RandomSampler, Sampler, SequentialSampler

NAMES = [
    "RandomSampler",
    "SequentialSampler",
    "RandomDomainSampler",
    "SeqDomainSampler",
    "RandomClassSampler",
]


def _positions(data_source, attribute: str) -> dict[int, list[int]]:
    """Return {domain or label: positions in the list}, in the order of first appearance."""
    groups = defaultdict(list)
    for position, item in enumerate(data_source):
        groups[getattr(item, attribute)].append(position)
    return dict(groups)


class _DomainSampler(Sampler):
    """Batches with equally many images of each of `n_domain` domains, until one runs out.

    random: source of the order; by default Python's global state.
    """

    random = random
    shuffled_domains = True

    def __init__(self, data_source, batch_size: int, n_domain: int):
        self.groups = _positions(data_source, "domain")
        if n_domain <= 0:
            n_domain = len(self.groups)
        if n_domain > len(self.groups):
            raise ConfigValueError(
                f"N_DOMAIN is {n_domain}, but the images come from {len(self.groups)} domains"
            )
        if batch_size % n_domain:
            raise ConfigValueError(
                f"BATCH_SIZE {batch_size} cannot be divided equally among {n_domain} domains"
            )
        self.n_domain, self.per_domain = n_domain, batch_size // n_domain
        self.length = len(list(iter(self)))

    def __iter__(self) -> Iterator[int]:
        left = {
            domain: self.random.sample(items, len(items)) for domain, items in self.groups.items()
        }
        domains = list(left)
        while True:
            if self.shuffled_domains:
                domains = self.random.sample(list(left), self.n_domain)
            if any(len(left[d]) < self.per_domain for d in domains):
                return
            for domain in domains:
                yield from left[domain][: self.per_domain]
                left[domain] = left[domain][self.per_domain :]

    def __len__(self) -> int:
        return self.length


class RandomDomainSampler(_DomainSampler):
    """N_DOMAIN random domains per batch, with equally many images of each."""


class SeqDomainSampler(_DomainSampler):
    """All domains in each batch in the same order, with equally many images of each."""

    shuffled_domains = False

    def __init__(self, data_source, batch_size: int, n_domain: int = 0):
        super().__init__(data_source, batch_size, 0)


class RandomClassSampler(Sampler):
    """Batches of BATCH_SIZE / N_INS random classes, with N_INS images of each.

    Images of a class that has too few are repeated.
    random: source of the order; by default Python's global state.
    """

    random = random

    def __init__(self, data_source, batch_size: int, n_ins: int):
        if not 0 < n_ins <= batch_size:
            raise ConfigValueError(f"N_INS {n_ins} must lie between 1 and BATCH_SIZE {batch_size}")
        self.n_ins, self.n_class = n_ins, batch_size // n_ins
        self.groups = _positions(data_source, "label")
        if self.n_class > len(self.groups):
            raise ConfigValueError(
                f"BATCH_SIZE {batch_size} with N_INS {n_ins} needs {self.n_class} classes, but the "
                f"images have {len(self.groups)}"
            )
        self.length = len(list(iter(self)))

    def _pieces(self, items: list[int]) -> list[list[int]]:
        items = self.random.sample(items, len(items))
        if len(items) < self.n_ins:
            items += self.random.choices(items, k=self.n_ins - len(items))
        whole = len(items) // self.n_ins * self.n_ins
        return [items[i : i + self.n_ins] for i in range(0, whole, self.n_ins)]

    def __iter__(self) -> Iterator[int]:
        pieces = {label: self._pieces(items) for label, items in self.groups.items()}
        while len(pieces) >= self.n_class:
            for label in self.random.sample(list(pieces), self.n_class):
                yield from pieces[label].pop()
                if not pieces[label]:
                    del pieces[label]

    def __len__(self) -> int:
        return self.length


def build_sampler(
    sampler_type: str,
    cfg=None,
    data_source=None,
    batch_size: int = 32,
    n_domain: int = 0,
    n_ins: int = 16,
    generator=None,
) -> Sampler:
    """Build the named sampler. Raise ConfigValueError for an unknown name or an invalid size.

    generator: for RandomSampler; None means torch's global random state.
    """
    check_availability(sampler_type, NAMES, "sampler")
    if sampler_type == "RandomSampler":
        return RandomSampler(data_source, generator=generator)
    if sampler_type == "SequentialSampler":
        return SequentialSampler(data_source)
    if sampler_type == "RandomDomainSampler":
        return RandomDomainSampler(data_source, batch_size, n_domain)
    if sampler_type == "SeqDomainSampler":
        return SeqDomainSampler(data_source, batch_size)
    return RandomClassSampler(data_source, batch_size, n_ins)
