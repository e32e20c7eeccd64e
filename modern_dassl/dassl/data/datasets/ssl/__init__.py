"""Data sets for semi-supervised learning."""

from dassl.data.datasets.ssl.cifar import CIFAR10, CIFAR100
from dassl.data.datasets.ssl.stl10 import STL10
from dassl.data.datasets.ssl.svhn import SVHN
