"""Names that Dassl's modules hold because they import them, and that others import from there.

    from dassl.engine.trainer import SummaryWriter, OrderedDict, build_optimizer

They are looked up when they are asked for, so that nobody else pays for their import.
"""

import importlib
from collections.abc import Callable

MODULES = {"np": "numpy", "nn": "torch.nn", "osp": "os.path", "Image": "PIL.Image"}
HOMES = {  # where a name comes from; one that is missing here is a module
    "_LRScheduler": "torch.optim.lr_scheduler",
    "AdamW": "torch.optim",
    "CN": "yacs.config:CfgNode",
    "Cutout": "dassl.data.transforms.operations",
    "CutoutDefault": "dassl.data.transforms.transforms",
    "DataManager": "dassl.data",
    "Flip": "dassl.data.transforms.operations",
    "Lighting": "dassl.data.transforms.operations",
    "Optimizer": "torch.optim",
    "OrderedDict": "collections",
    "PlainRAdam": "dassl.optim.radam:RAdam",
    "RandomSampler": "torch.utils.data",
    "SamplePairing": "dassl.data.transforms.operations",
    "Sampler": "torch.utils.data",
    "SequentialSampler": "torch.utils.data",
    "SummaryWriter": "torch.utils.tensorboard",
    "TorchDataset": "torch.utils.data:Dataset",
    "adjust_learning_rate": "dassl.utils.layers",
    "build_backbone": "dassl.modeling",
    "build_evaluator": "dassl.evaluation",
    "build_head": "dassl.modeling",
    "build_lr_scheduler": "dassl.optim",
    "build_optimizer": "dassl.optim",
    "check_isfile": "dassl.utils",
    "confusion_matrix": "sklearn.metrics",
    "defaultdict": "collections",
    "f1_score": "sklearn.metrics",
    "partial": "functools",
    "set_bn_to_eval": "dassl.utils.layers",
    "tqdm": "tqdm",
    **dict.fromkeys(
        ("AverageMeter", "MetricMeter", "count_num_param", "load_checkpoint",
         "load_pretrained_weights", "mkdir_if_missing", "resume_from_checkpoint",
         "save_checkpoint", "tolist_if_not"), "dassl.utils"),
    **dict.fromkeys(
        ("CenterCrop", "ColorJitter", "Compose", "GaussianBlur", "Normalize", "RandomApply",
         "RandomCrop", "RandomGrayscale", "RandomHorizontalFlip", "RandomResizedCrop", "Resize",
         "ToTensor"), "torchvision.transforms"),
}  # fmt: skip
LENT = {
    "dassl.config.defaults": "CN",
    "dassl.data.data_manager": "TorchDataset",
    "dassl.data.datasets.base_dataset": "check_isfile gdown os",
    "dassl.data.samplers": "RandomSampler Sampler SequentialSampler copy defaultdict np random",
    "dassl.data.transforms.autoaugment": "np",
    "dassl.data.transforms.randaugment": "Cutout CutoutDefault Flip Image Lighting PIL "
    "SamplePairing np torch",
    "dassl.data.transforms.transforms": "CenterCrop ColorJitter Compose GaussianBlur Normalize "
    "RandomApply RandomCrop RandomGrayscale RandomHorizontalFlip RandomResizedCrop Resize ToTensor "
    "np random",
    "dassl.engine.trainer": "AverageMeter DataManager MetricMeter OrderedDict SummaryWriter "
    "build_backbone build_evaluator build_head build_lr_scheduler build_optimizer "
    "count_num_param datetime load_checkpoint load_pretrained_weights mkdir_if_missing nn np osp "
    "resume_from_checkpoint save_checkpoint time tolist_if_not torch tqdm",
    "dassl.evaluation.evaluator": "confusion_matrix f1_score",
    "dassl.optim.lr_scheduler": "_LRScheduler torch",
    "dassl.optim.radam": "AdamW Optimizer PlainRAdam math",
    "dassl.utils.logger": "mkdir_if_missing osp",
    "dassl.utils.tools": "errno time",
    "dassl.utils.torchtools": "adjust_learning_rate partial pickle set_bn_to_eval",
}


def lent_by(module: str) -> Callable[[str], object]:
    """The function `__getattr__` of a module. It raises AttributeError for a name that the module
    does not lend, and ImportError where what it comes from is not installed."""
    names = LENT[module].split()

    def __getattr__(name: str):
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        try:
            return _found(name)
        except ModuleNotFoundError as error:
            raise ImportError(
                f"{module}.{name} needs {error.name}, which is not installed"
            ) from error

    return __getattr__


def _found(name: str):
    if name not in HOMES:
        return importlib.import_module(MODULES.get(name, name))
    home, _, original = HOMES[name].partition(":")
    return getattr(importlib.import_module(home), original or name)
