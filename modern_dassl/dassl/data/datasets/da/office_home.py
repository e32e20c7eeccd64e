"""Office-Home: objects of offices and homes. Venkateswara et al., CVPR 2017."""

import os.path as osp

from dassl.data.datasets.build import DATASET_REGISTRY
from dassl.data.datasets.trees import AdaptationDataset, class_folders


@DATASET_REGISTRY.register()
class OfficeHome(AdaptationDataset):
    """office_home/<domain>/<class>/*; all images of a target are both unlabelled and test images.
    """

    dataset_dir = "office_home"
    domains = ["art", "clipart", "product", "real_world"]

    def images(self, domain: str, split: str):
        folder = osp.join(self.dataset_dir, domain)
        return [(path, label, name.lower()) for path, label, name in class_folders(folder)]
