"""PACS: seven classes in four styles. Li et al., Deeper, Broader and Artier Domain Generalization,
ICCV 2017."""

import os.path as osp

from dassl.data.datasets.build import DATASET_REGISTRY
from dassl.data.datasets.trees import GeneralisationDataset, listed


@DATASET_REGISTRY.register()
class PACS(GeneralisationDataset):
    """pacs/images, and pacs/splits/<domain>_{train,crossval}_kfold.txt with lines
    `domain/class/file label`, labels from 1. A target's images are those of both lists."""

    dataset_dir = "pacs"
    domains = ["art_painting", "cartoon", "photo", "sketch"]
    data_url = "https://drive.google.com/uc?id=1m4X4fROCCXMO0lRLrr6Zz9Vb3974NWhE"
    splits = ("train", "crossval", "all")
    _error_paths = ["sketch/dog/n02103406_4068-1.png"]  # damaged

    def images(self, domain: str, split: str):
        pairs = []
        for part in ("train", "crossval") if split == "all" else (split,):
            pairs += listed(osp.join(self.dataset_dir, "splits", f"{domain}_{part}_kfold.txt"))
        return [
            (osp.join(self.dataset_dir, "images", path), label - 1, path.split("/")[-2])
            for path, label in pairs
            if path not in self._error_paths
        ]
