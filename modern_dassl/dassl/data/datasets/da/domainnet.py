"""DomainNet: 345 classes in six styles. Peng et al., ICCV 2019."""

import os.path as osp

from dassl.data.datasets.build import DATASET_REGISTRY
from dassl.data.datasets.trees import AdaptationDataset, listed


class ListedDomains(AdaptationDataset):
    """domainnet/<split_dir>/<domain>_{train,test}.txt, with lines `domain/class/file label`."""

    dataset_dir = "domainnet"
    split_dir: str

    def images(self, domain: str, split: str):
        file = osp.join(self.dataset_dir, self.split_dir, f"{domain}_{split}.txt")
        return [
            (osp.join(self.dataset_dir, path), label, path.split("/")[1])
            for path, label in listed(file)
        ]


@DATASET_REGISTRY.register()
class DomainNet(ListedDomains):
    """The published lists. Painting's training images lack class 327 (t-shirt)."""

    split_dir = "splits"
    domains = ["clipart", "infograph", "painting", "quickdraw", "real", "sketch"]
    validates = True
