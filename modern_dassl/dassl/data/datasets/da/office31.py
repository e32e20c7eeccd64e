"""Office-31: office objects. Saenko et al., ECCV 2010."""

import os.path as osp

from dassl.data.datasets.build import DATASET_REGISTRY
from dassl.data.datasets.trees import AdaptationDataset, class_folders


@DATASET_REGISTRY.register()
class Office31(AdaptationDataset):
    """office31/<domain>/<class>/*; all images of a target are both unlabelled and test images."""

    dataset_dir = "office31"
    domains = ["amazon", "webcam", "dslr"]

    def images(self, domain: str, split: str):
        return class_folders(osp.join(self.dataset_dir, domain))
