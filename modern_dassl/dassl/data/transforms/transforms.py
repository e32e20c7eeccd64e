"""Training and test transforms from configuration keys, most of them torchvision's.

The order of the training transforms is fixed, whatever the order in INPUT.TRANSFORMS.
"""

import torch
from dassl.data.transforms.autoaugment import CIFAR10Policy, ImageNetPolicy, SVHNPolicy
from dassl.data.transforms.randaugment import RandAugment, RandAugment2, RandAugmentFixMatch
from dassl.utils import ConfigValueError, check_availability
from torch import Tensor
from torchvision import transforms as T
from torchvision.transforms import functional as F
from torchvision.transforms.functional import InterpolationMode

AVAI_CHOICES = [
    "random_flip",
    "random_resized_crop",
    "normalize",
    "instance_norm",
    "random_crop",
    "random_translation",
    "center_crop",
    "cutout",
    "imagenet_policy",
    "cifar10_policy",
    "svhn_policy",
    "randaugment",
    "randaugment_fixmatch",
    "randaugment2",
    "gaussian_noise",
    "colorjitter",
    "randomgrayscale",
    "gaussian_blur",
]
INTERPOLATION_MODES = {
    "bilinear": InterpolationMode.BILINEAR,
    "bicubic": InterpolationMode.BICUBIC,
    "nearest": InterpolationMode.NEAREST,
}
RRCROP_SCALE = (0.08, 1.0)  # default for older projects, which lack the key


class Random2DTranslation:
    """With probability p, resize to 9/8 of (height, width) and crop at random; else resize."""

    def __init__(self, height, width, p=0.5, interpolation=InterpolationMode.BILINEAR):
        self.height, self.width, self.p, self.interpolation = height, width, p, interpolation

    def __call__(self, img):
        if torch.rand(()).item() >= self.p:
            return F.resize(img, [self.height, self.width], self.interpolation)
        height, width = round(self.height * 1.125), round(self.width * 1.125)
        top = torch.randint(height - self.height + 1, ()).item()
        left = torch.randint(width - self.width + 1, ()).item()
        resized = F.resize(img, [height, width], self.interpolation)
        return F.crop(resized, top, left, self.height, self.width)


class InstanceNormalization:
    """(C, H, W) -> (C, H, W), each channel with mean 0 and deviation 1."""

    def __init__(self, eps: float = 1e-8):
        self.eps = eps

    def __call__(self, img: Tensor) -> Tensor:
        flat = img.flatten(1)
        mean, std = flat.mean(1)[:, None, None], flat.std(1)[:, None, None]
        return (img - mean) / (std + self.eps)


class Cutout:
    """(C, H, W) -> (C, H, W) with `n_holes` squares of side `length` set to 0."""

    def __init__(self, n_holes: int = 1, length: int = 16):
        self.n_holes, self.length = n_holes, length

    def __call__(self, img: Tensor) -> Tensor:
        img, (height, width) = img.clone(), img.shape[-2:]
        for _ in range(self.n_holes):
            y, x = torch.randint(height, ()).item(), torch.randint(width, ()).item()
            top, left = max(y - self.length // 2, 0), max(x - self.length // 2, 0)
            img[..., top : y + self.length // 2, left : x + self.length // 2] = 0
        return img


class CutoutDefault(Cutout):
    """One square of side `length`."""

    def __init__(self, length: int):
        super().__init__(1, length)


class GaussianNoise:
    """With probability p, add normal noise to a tensor image."""

    def __init__(self, mean: float = 0.0, std: float = 0.15, p: float = 0.5):
        self.mean, self.std, self.p = mean, std, p

    def __call__(self, img: Tensor) -> Tensor:
        if torch.rand(()).item() >= self.p:
            return img
        return img + torch.randn_like(img) * self.std + self.mean


def build_transform(cfg, is_train: bool = True, choices=None):
    """Build the transform from a PIL image to a (3, height, width) tensor; None with NO_TRANSFORM.

    choices: names, INPUT.TRANSFORMS by default. Raise ConfigValueError for an unknown one.
    """
    if cfg.INPUT.NO_TRANSFORM:
        print("Note: no transform is applied!")
        return None
    choices = list(cfg.INPUT.TRANSFORMS if choices is None else choices)
    for name in choices:
        check_availability(name, AVAI_CHOICES, "INPUT.TRANSFORMS")
    build = _build_transform_train if is_train else _build_transform_test
    return build(cfg, choices, "x".join(map(str, cfg.INPUT.SIZE)), _normalise(cfg.INPUT))


def _interpolation(options):
    check_availability(options.INTERPOLATION, list(INTERPOLATION_MODES), "INPUT.INTERPOLATION")
    return INTERPOLATION_MODES[options.INTERPOLATION]


def _size(options) -> list[int]:
    size = list(options.SIZE)
    if len(size) != 2 or min(size) < 1:
        raise ConfigValueError(f"INPUT.SIZE must be (height, width), not {tuple(size)}")
    return size


def _normalise(options):
    return T.Normalize(mean=list(options.PIXEL_MEAN), std=list(options.PIXEL_STD))


def _build_transform_test(cfg, choices, target_size: str, normalize) -> T.Compose:
    """Build the test transform. target_size: for Dassl's messages, unused here."""
    size = _size(cfg.INPUT)
    steps = [T.Resize(max(size), interpolation=_interpolation(cfg.INPUT)), T.CenterCrop(size)]
    steps.append(T.ToTensor())
    if "normalize" in choices:
        steps.append(normalize)
    if "instance_norm" in choices:
        steps.append(InstanceNormalization())
    return T.Compose(steps)


def _build_transform_train(cfg, choices, target_size: str, normalize) -> T.Compose:
    options = cfg.INPUT
    size, mode = _size(options), _interpolation(options)
    steps = []
    if "random_crop" not in choices and "random_resized_crop" not in choices:
        steps.append(T.Resize(size, interpolation=mode))  # center_crop is for testing only
    before = {
        "random_translation": lambda: Random2DTranslation(*size),
        "random_crop": lambda: T.RandomCrop(size, padding=options.CROP_PADDING),
        "random_resized_crop": lambda: T.RandomResizedCrop(
            size, scale=options.get("RRCROP_SCALE", RRCROP_SCALE), interpolation=mode
        ),
        "random_flip": T.RandomHorizontalFlip,
        "imagenet_policy": ImageNetPolicy,
        "cifar10_policy": CIFAR10Policy,
        "svhn_policy": SVHNPolicy,
        "randaugment": lambda: RandAugment(options.RANDAUGMENT_N, options.RANDAUGMENT_M),
        "randaugment_fixmatch": lambda: RandAugmentFixMatch(options.RANDAUGMENT_N),
        "randaugment2": lambda: RandAugment2(options.RANDAUGMENT_N),
        "colorjitter": lambda: T.ColorJitter(
            options.COLORJITTER_B, options.COLORJITTER_C, options.COLORJITTER_S,
            options.COLORJITTER_H,
        ),
        "randomgrayscale": lambda: T.RandomGrayscale(options.RGS_P),
        "gaussian_blur": lambda: T.RandomApply([T.GaussianBlur(options.GB_K)], p=options.GB_P),
    }
    after = {
        "cutout": lambda: Cutout(options.CUTOUT_N, options.CUTOUT_LEN),
        "normalize": lambda: normalize,
        "gaussian_noise": lambda: GaussianNoise(options.GN_MEAN, options.GN_STD),
        "instance_norm": InstanceNormalization,
    }
    steps += [make() for name, make in before.items() if name in choices]
    steps.append(T.ToTensor())
    return T.Compose(steps + [make() for name, make in after.items() if name in choices])
