"""House numbers of which few are labelled. Netzer et al., 2011."""

from dassl.data.datasets.build import DATASET_REGISTRY
from dassl.data.datasets.ssl.cifar import CIFAR10


@DATASET_REGISTRY.register()
class SVHN(CIFAR10):
    """CIFAR-10's layout in svhn."""

    dataset_dir = "svhn"
