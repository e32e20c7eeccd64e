"""Digits with one source. Volpi et al., Generalizing to Unseen Domains via Adversarial Data
Augmentation, NeurIPS 2018."""

import os.path as osp

from dassl.data.datasets.build import DATASET_REGISTRY
from dassl.data.datasets.da.digit5 import DOMAINS, digits
from dassl.data.datasets.trees import GeneralisationDataset

TRAINED_ON = 10_000  # first images of a source, except USPS


@DATASET_REGISTRY.register()
class DigitSingle(GeneralisationDataset):
    """Digit-5's folder, digit5/<domain>/{train,test}_images."""

    dataset_dir = "digit5"
    domains = DOMAINS
    splits = ("train", "test", "test")

    def images(self, domain: str, split: str):
        images = digits(osp.join(self.dataset_dir, domain), split)
        return images[:TRAINED_ON] if split == "train" and domain != "usps" else images
