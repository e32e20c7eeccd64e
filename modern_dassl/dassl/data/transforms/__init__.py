"""Image transforms by configuration."""

from dassl.data.transforms.autoaugment import CIFAR10Policy, ImageNetPolicy, SVHNPolicy
from dassl.data.transforms.randaugment import RandAugment, RandAugment2, RandAugmentFixMatch
from dassl.data.transforms.transforms import (
    AVAI_CHOICES,
    INTERPOLATION_MODES,
    Cutout,
    GaussianNoise,
    InstanceNormalization,
    Random2DTranslation,
    build_transform,
)
