"""CIFAR-10 and CIFAR-100 of which few images are labelled. Krizhevsky, 2009."""

import math
import os.path as osp
import random
from collections import defaultdict

from dassl.data.datasets.base_dataset import DatasetBase, Datum
from dassl.data.datasets.build import DATASET_REGISTRY
from dassl.data.datasets.trees import below_root, class_folders
from dassl.utils import ConfigValueError


@DATASET_REGISTRY.register()
class CIFAR10(DatasetBase):
    """cifar10/{train,test}/<class>/*.

    The first VAL_PERCENT of a class validate, as in Oliver et al., NeurIPS 2018. NUM_LABELED is
    shared out to the classes; which images are labelled is drawn from Python's global random state.
    ALL_AS_UNLABELED adds the labelled images to the unlabelled ones.
    """

    dataset_dir = "cifar10"

    def __init__(self, cfg):
        options = cfg.DATASET
        if options.NUM_LABELED < 1:
            raise ConfigValueError(
                f"DATASET.NUM_LABELED must be at least 1, not {options.NUM_LABELED}"
            )
        self.dataset_dir = below_root(cfg, self.dataset_dir)
        by_class = defaultdict(list)
        for image in class_folders(osp.join(self.dataset_dir, "train")):
            by_class[image[1]].append(image)
        labelled = int(options.NUM_LABELED / max(len(by_class), 1))  # of each class
        train_x, train_u, val = [], [], []
        for images in by_class.values():
            split = math.floor(len(images) * options.VAL_PERCENT)
            rest = images[split:]
            random.shuffle(rest)
            val += images[:split]
            train_x += rest[:labelled]
            train_u += rest[labelled:]
        if options.ALL_AS_UNLABELED:
            train_u = train_u + train_x
        test = class_folders(osp.join(self.dataset_dir, "test"))
        lists = [_data(images) for images in (train_x, train_u, val, test)]
        super().__init__(lists[0], lists[1], lists[2] or None, lists[3])


def _data(images) -> list[Datum]:
    return [Datum(path, label, classname=name) for path, label, name in images]


@DATASET_REGISTRY.register()
class CIFAR100(CIFAR10):
    """The same in cifar100."""

    dataset_dir = "cifar100"
