"""Samplers: the order in which a loader takes the images."""

from dassl.data.samplers.samplers import (
    RandomClassSampler,
    RandomDomainSampler,
    SeqDomainSampler,
    build_sampler,
)
