"""Digits-DG: digits of four kinds. Zhou et al., Deep Domain-Adversarial Image Generation for Domain
Generalisation, AAAI 2020."""

import os.path as osp

from dassl.data.datasets.base_dataset import Datum
from dassl.data.datasets.build import DATASET_REGISTRY
from dassl.data.datasets.trees import GeneralisationDataset, Image, class_folders


def split_folders(folder: str, split: str) -> list[Image]:
    """The images <folder>/{train,val}/<class>/*.jpg; those of both for the split "all"."""
    return [
        (path, label, name.lower())
        for part in (("train", "val") if split == "all" else (split,))
        for path, label, name in class_folders(osp.join(folder, part), ".jpg")
    ]


class SplitFolders(GeneralisationDataset):
    """<dataset_dir>/<domain>/{train,val}/<class>/*.jpg."""

    def images(self, domain: str, split: str):
        return split_folders(osp.join(self.dataset_dir, domain), split)


@DATASET_REGISTRY.register()
class DigitsDG(SplitFolders):
    """digits_dg/<domain>/{train,val}/<class>/*.jpg."""

    dataset_dir = "digits_dg"
    domains = ["mnist", "mnist_m", "svhn", "syn"]
    data_url = "https://drive.google.com/uc?id=15V7EsHfCcfbKgsDmzQKj_DfXt_XYp_P7"

    @staticmethod
    def read_data(dataset_dir: str, input_domains, split: str) -> list[Datum]:
        """The images of some domains in another folder of this layout."""
        return [
            Datum(path, label, number, name)
            for number, domain in enumerate(input_domains)
            for path, label, name in split_folders(osp.join(dataset_dir, domain), split)
        ]
