"""CIFAR-10 and CIFAR-100 to CIFAR-10-C and CIFAR-100-C. Hendrycks and Dietterich, Benchmarking
Neural Network Robustness to Common Corruptions and Perturbations, ICLR 2019."""

import os.path as osp

from dassl.data.datasets.build import DATASET_REGISTRY
from dassl.data.datasets.trees import DomainDataset, class_folders
from dassl.utils import ConfigValueError, check_availability

CORRUPTIONS = [
    "brightness", "contrast", "defocus_blur", "elastic_transform", "fog", "frost",
    "gaussian_blur", "gaussian_noise", "glass_blur", "impulse_noise", "jpeg_compression",
    "motion_blur", "pixelate", "saturate", "shot_noise", "snow", "spatter", "speckle_noise",
    "zoom_blur",
]  # fmt: skip


@DATASET_REGISTRY.register()
class CIFAR10C(DomainDataset):
    """Training: cifar10/train/<class>/*. Test: cifar10_c/<corruption>/<level>/<class>/*."""

    dataset_dir = ""
    domains = ["cifar10", "cifar10_c"]

    def __init__(self, cfg):
        self.find(cfg)
        clean, corrupted = self.domains
        asked = (*cfg.DATASET.SOURCE_DOMAINS, *cfg.DATASET.TARGET_DOMAINS)
        if asked != (clean, corrupted):
            raise ConfigValueError(
                f"{type(self).__name__} goes from {clean} to {corrupted}; the domains are {asked}"
            )
        kind, level = cfg.DATASET.CIFAR_C_TYPE, cfg.DATASET.CIFAR_C_LEVEL
        check_availability(kind, CORRUPTIONS, "DATASET.CIFAR_C_TYPE")
        if not 1 <= level <= 5:
            raise ConfigValueError(f"DATASET.CIFAR_C_LEVEL must be 1 to 5, not {level}")
        super().__init__(
            train_x=self.read([clean], "train"),
            test=self.read([corrupted], osp.join(kind, str(level))),
        )

    def images(self, domain: str, split: str):
        return class_folders(osp.join(self.dataset_dir, domain, split))


@DATASET_REGISTRY.register()
class CIFAR100C(CIFAR10C):
    """The same with cifar100 and cifar100_c."""

    domains = ["cifar100", "cifar100_c"]
