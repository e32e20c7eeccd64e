"""Samplers: the order in which a loader takes the images."""

from dassl.data.samplers.samplers import (
    RandomClassSampler,
    RandomDomainSampler,
    SeqDomainSampler,
    build_sampler,
)

from modern_dassl.lent_names import lent_by

__getattr__ = lent_by(__name__)
