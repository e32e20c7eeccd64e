"""Data sets by name: built-in ones, and those that a project registers."""

from dassl.data.datasets.base_dataset import DatasetBase, Datum
from dassl.data.datasets.build import DATASET_REGISTRY, build_dataset
from dassl.data.datasets.da import (
    CIFARSTL,
    Digit5,
    DomainNet,
    Office31,
    OfficeHome,
    VisDA17,
    miniDomainNet,
)
from dassl.data.datasets.dg import (
    CIFAR10C,
    CIFAR100C,
    PACS,
    VLCS,
    DigitsDG,
    DigitSingle,
    OfficeHomeDG,
)
from dassl.data.datasets.ssl import CIFAR10, CIFAR100, STL10, SVHN
