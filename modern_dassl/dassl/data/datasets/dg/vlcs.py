"""VLCS: five classes of four data sets. Torralba and Efros, Unbiased Look at Dataset Bias, CVPR
2011."""

import os.path as osp

from dassl.data.datasets.build import DATASET_REGISTRY
from dassl.data.datasets.trees import GeneralisationDataset, class_folders


@DATASET_REGISTRY.register()
class VLCS(GeneralisationDataset):
    """VLCS/<DOMAIN>/{train,crossval,test}/<class>/*.jpg."""

    dataset_dir = "VLCS"
    domains = ["caltech", "labelme", "pascal", "sun"]
    data_url = "https://drive.google.com/uc?id=1r0WL5DDqKfSPp9E3tRENwHaXNs1olLZd"
    splits = ("train", "crossval", "test")

    def images(self, domain: str, split: str):
        return class_folders(osp.join(self.dataset_dir, domain.upper(), split), ".jpg")
