"""VisDA-2017: renderings and photographs. Peng et al., 2017."""

import os.path as osp

from dassl.data.datasets.build import DATASET_REGISTRY
from dassl.data.datasets.trees import AdaptationDataset, listed

FOLDERS = {"synthetic": "train", "real": "validation"}


@DATASET_REGISTRY.register()
class VisDA17(AdaptationDataset):
    """visda17/{train,validation}/image_list.txt, with lines `class/file label`."""

    dataset_dir = "visda17"
    domains = ["synthetic", "real"]

    def images(self, domain: str, split: str):
        folder = osp.join(self.dataset_dir, FOLDERS[domain])
        return [
            (osp.join(folder, path), label, path.split("/")[0])
            for path, label in listed(osp.join(folder, "image_list.txt"))
        ]
