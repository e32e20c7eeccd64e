"""miniDomainNet: 126 classes of DomainNet. Zhou et al., Domain Adaptive Ensemble Learning, 2021."""

from dassl.data.datasets.build import DATASET_REGISTRY
from dassl.data.datasets.da.domainnet import ListedDomains


@DATASET_REGISTRY.register()
class miniDomainNet(ListedDomains):
    """DomainNet's folder with other lists."""

    split_dir = "splits_mini"
    domains = ["clipart", "painting", "real", "sketch"]
