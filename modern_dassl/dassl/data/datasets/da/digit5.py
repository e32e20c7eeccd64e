"""Digit-5: digits of five kinds. Peng et al., Moment Matching for Multi-Source Domain Adaptation,
ICCV 2019."""

import os.path as osp
import random

from dassl.data.datasets.build import DATASET_REGISTRY
from dassl.data.datasets.trees import AdaptationDataset, Image, labels_in_names

DOMAINS = ["mnist", "mnist_m", "svhn", "syn", "usps"]
SAMPLED = {"train": 25_000, "test": 9_000}  # images of each domain but USPS


def digits(folder: str, split: str) -> list[Image]:
    """The images <folder>/{train,test}_images/<anything>_<label>.png."""
    images = labels_in_names(osp.join(folder, f"{split}_images"))
    return [(path, int(label), label) for path, label in images]


@DATASET_REGISTRY.register()
class Digit5(AdaptationDataset):
    """digit5/<domain>/{train,test}_images. A part is drawn from Python's global random state; of
    USPS all images are taken, those to train on three times."""

    dataset_dir = "digit5"
    domains = DOMAINS

    def images(self, domain: str, split: str):
        images = digits(osp.join(self.dataset_dir, domain), split)
        if domain == "usps":
            return images * 3 if split == "train" else images
        return random.sample(images, min(SAMPLED[split], len(images)))
