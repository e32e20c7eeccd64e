"""CIFAR-10 and STL-10 as two domains with nine common classes and one private class each."""

import os.path as osp

from dassl.data.datasets.build import DATASET_REGISTRY
from dassl.data.datasets.trees import AdaptationDataset, class_folders


@DATASET_REGISTRY.register()
class CIFARSTL(AdaptationDataset):
    """cifar_stl/{cifar,stl}/{train,test}/<label>_<class>/*."""

    dataset_dir = "cifar_stl"
    domains = ["cifar", "stl"]

    def images(self, domain: str, split: str):
        folder = osp.join(self.dataset_dir, domain, split)
        named = [(path, name.partition("_")) for path, _, name in class_folders(folder)]
        return [(path, int(label), name) for path, (label, _, name) in named]
