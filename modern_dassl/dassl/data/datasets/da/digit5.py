"""Digit-5: digits of five domains. Peng et al., Moment Matching for Multi-Source Domain Adaptation,
ICCV 2019."""

import os.path as osp
import random

from dassl.data.datasets.build import DATASET_REGISTRY
from dassl.data.datasets.trees import AdaptationDataset, Image, labels_in_names

DOMAINS = ["mnist", "mnist_m", "svhn", "syn", "usps"]
SAMPLED = {"train": 25_000, "test": 9_000}  # images of each domain except USPS


def digits(folder: str, split: str) -> list[Image]:
    """Return the images <folder>/{train,test}_images/<anything>_<label>.png."""
    images = labels_in_names(osp.join(folder, f"{split}_images"))
    return [(path, int(label), label) for path, label in images]


@DATASET_REGISTRY.register()
class Digit5(AdaptationDataset):
    """digit5/<domain>/{train,test}_images. A subset is drawn from Python's global random state;
    USPS is used whole, its training images three times."""

    dataset_dir = "digit5"
    domains = DOMAINS

    def images(self, domain: str, split: str):
        images = digits(osp.join(self.dataset_dir, domain), split)
        if domain == "usps":
            return images * 3 if split == "train" else images
        return random.sample(images, min(SAMPLED[split], len(images)))
