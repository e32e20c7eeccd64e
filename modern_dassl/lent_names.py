"""Names that Dassl's modules import, and that other code then imports from those modules.

    from dassl.engine.trainer import SummaryWriter, OrderedDict, build_optimizer

They are resolved lazily, so nobody else pays for their import.
"""

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType

from modern_dassl import left_out

MODULES = {
    "F": "torch.nn.functional", "Image": "PIL.Image", "model_zoo": "torch.utils.model_zoo",
    "nn": "torch.nn", "np": "numpy", "osp": "os.path",
}  # fmt: skip
HOMES = {  # {module: its names, or "name in Dassl=name here"}; any other name is a module
    "collections": "OrderedDict defaultdict",
    "contextlib": "contextmanager",
    "dassl.data": "DataManager",
    "dassl.data.datasets.base_dataset": "DatasetBase Datum",
    "dassl.data.datasets.dg": "DigitsDG",
    "dassl.data.datasets.dg.cifar_c": "AVAI_C_TYPES=CORRUPTIONS",
    "dassl.data.transforms": "build_transform",
    "dassl.data.transforms.operations": "Cutout Flip Lighting SamplePairing",
    "dassl.data.transforms.transforms": "CutoutDefault",
    "dassl.engine.da.dael": "Experts",
    "dassl.evaluation": "build_evaluator",
    "dassl.metrics": "compute_accuracy",
    "dassl.modeling": "SimpleNet build_backbone build_head",
    "dassl.modeling.backbone": "BACKBONE_REGISTRY Backbone",
    "dassl.modeling.backbone.weights": "init_pretrained_weights model_urls",
    "dassl.modeling.ops": "ReverseGrad",
    "dassl.modeling.ops.utils": "create_onehot ema_model_update",
    "dassl.optim": "build_lr_scheduler build_optimizer",
    "dassl.optim.radam": "PlainRAdam=RAdam",
    "dassl.utils": "AverageMeter MetricMeter check_availability check_isfile count_num_param "
    "init_network_weights listdir_nohidden load_checkpoint load_pretrained_weights "
    "mkdir_if_missing resume_from_checkpoint save_checkpoint tolist_if_not",
    "dassl.utils.layers": "adjust_learning_rate set_bn_to_eval",
    "functools": "partial",
    "sklearn.metrics": "confusion_matrix f1_score",
    "torch.autograd": "Function",
    "torch.hub": "load_state_dict_from_url",
    "torch.optim": "AdamW Optimizer",
    "torch.optim.lr_scheduler": "_LRScheduler",
    "torch.utils.data": "RandomSampler Sampler SequentialSampler TorchDataset=Dataset",
    "torch.utils.tensorboard": "SummaryWriter",
    "torchvision.models.resnet": "BasicBlock Bottleneck conv3x3",
    "torchvision.transforms": "CenterCrop ColorJitter Compose GaussianBlur Normalize RandomApply "
    "RandomCrop RandomGrayscale RandomHorizontalFlip RandomResizedCrop Resize ToTensor",
    "tqdm": "tqdm",
    "yacs.config": "CN=CfgNode",
}
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
_TRAINERS = "F build_lr_scheduler build_optimizer compute_accuracy count_num_param nn np torch "
BELOW = {  # {package: names that each of its modules lends}
    "dassl.data.datasets.da": "DatasetBase Datum listdir_nohidden osp",
    "dassl.data.datasets.dg": "AVAI_C_TYPES DatasetBase Datum DigitsDG glob listdir_nohidden osp",
    "dassl.data.datasets.ssl": "listdir_nohidden np",
    "dassl.engine.da": f"{_TRAINERS} DataManager ReverseGrad SimpleNet build_head build_transform "
    "check_isfile copy ema_model_update partial",
    "dassl.engine.dg": f"{_TRAINERS} DataManager Experts SimpleNet build_transform create_onehot",
    "dassl.engine.ssl": f"{_TRAINERS} DataManager build_transform copy ema_model_update",
    "dassl.modeling.backbone": "BACKBONE_REGISTRY Backbone BasicBlock Bottleneck F "
    "check_availability conv3x3 init_network_weights init_pretrained_weights "
    "load_state_dict_from_url model_urls model_zoo nn torch",
    "dassl.modeling.head": "check_availability functools",
    "dassl.modeling.network": "check_availability functools",
    "dassl.modeling.ops": "Function contextmanager nn np random torch",
}


def lent_by(module: str) -> Callable[[str], object]:
    """Return the function `__getattr__` of a module. It raises AttributeError for a name that the
    module does not lend, and ImportError if the source of a name is not installed."""
    names = f"{LENT.get(module, '')} {BELOW.get(module.rpartition('.')[0], '')}".split()

    def __getattr__(name: str):
        if said := left_out.sentence(f"{module}.{name}"):
            raise ImportError(said)
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        try:
            return _found(name)
        except ModuleNotFoundError as error:
            raise ImportError(
                f"{module}.{name} needs {error.name}, which is not installed"
            ) from error

    return __getattr__


def lend_below(package: str) -> None:
    """Let the imported modules of `package` lend the names in BELOW."""
    for folder in sys.modules[package].__path__:
        for file in os.listdir(folder):
            module = f"{package}.{file.removesuffix('.py')}"
            if module in sys.modules:
                sys.modules[module].__getattr__ = lent_by(module)


def alias(module: str, ours: ModuleType, names: str) -> None:
    """Make a module of Dassl importable. names: those it takes from `ours`: "name", or "name in
    Dassl=name in ours"."""
    made = importlib.util.module_from_spec(ModuleSpec(module, None))
    for there, here in _pairs(names):
        setattr(made, there, getattr(ours, here))
    made.__getattr__ = lent_by(module)
    sys.modules[module] = made


def _found(name: str):
    for module, names in HOMES.items():
        for there, here in _pairs(names):
            if there == name:
                return getattr(importlib.import_module(module), here)
    return importlib.import_module(MODULES.get(name, name))


def _pairs(names: str) -> list[tuple[str, str]]:
    """Return (name in Dassl, name here) of each "name" and "name in Dassl=name here"."""
    pairs = (pair.partition("=") for pair in names.split())
    return [(there, here or there) for there, _, here in pairs]
