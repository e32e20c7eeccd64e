"""The images of a stream: those of one domain, or of several in turn."""

import copy

from ueo.errors import ConfigError
from ueo.images.folders import Item
from ueo.names import listed


def one_after_another(dataset, domains: list[str]) -> tuple[list[Item], dict[str, int]]:
    """Return (unlabelled images, domain by domain; {path: position of its domain}).

    dataset: a UFTDataset, set up for the first domain. Raises ConfigError for a repeated domain.
    """
    if len(set(domains)) < len(domains):
        raise ConfigError(f"ONLINE.THEN: a domain comes twice: {listed(domains)}")
    images, place = [], {}
    for position, domain in enumerate(domains):
        own = dataset
        if position > 0:
            own = copy.copy(dataset)
            own.domain = domain
            own.setup(own.root)
        found = own.released(domain)[0]
        images += found
        place.update((path, position) for path, _ in found)
    return images, place
