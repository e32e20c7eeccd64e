"""Names that Dassl's modules import, and that other code then imports from those modules.

    from dassl.engine.trainer import SummaryWriter, OrderedDict, build_optimizer

Every module here lends all of them. They are resolved lazily, so nobody else pays for their import.
"""

import sys
from functools import partial
from importlib import import_module

from modern_dassl import left_out

MODULES = {
    "F": "torch.nn.functional", "Image": "PIL.Image", "model_zoo": "torch.utils.model_zoo",
    "nn": "torch.nn", "np": "numpy", "osp": "os.path",
    **{name: name for name in ("PIL", "copy", "datetime", "errno", "functools", "gdown", "glob",
                               "math", "os", "pickle", "random", "sys", "time", "torch")},
}  # fmt: skip
HOMES = {  # {module: its names, or "name in Dassl=name here"}
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
_SOURCES = {  # {name: (module, name in it)}, "" for the module itself
    **{name: (module, "") for name, module in MODULES.items()},
    **{
        there: (module, here or there)
        for module, names in HOMES.items()
        for there, _, here in (pair.partition("=") for pair in names.split())
    },
}


def lend_below(package: str) -> None:
    """Let `package` and all imported modules below it lend the names."""
    for name, module in list(sys.modules.items()):  # other threads may import meanwhile
        if f"{name}.".startswith(f"{package}."):
            module.__getattr__ = partial(_lent, name)


def _lent(module: str, name: str):
    """Return the object called `name`. Raise AttributeError if it is not lent, and ImportError if
    it is left out of this package or its source is not installed."""
    if said := left_out.sentence(name) or left_out.sentence(f"{module}.{name}"):
        raise ImportError(said)
    if name not in _SOURCES:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    source, own = _SOURCES[name]
    try:
        found = import_module(source)
    except ModuleNotFoundError as error:
        raise ImportError(f"{module}.{name} needs {error.name}, which is not installed") from error
    return getattr(found, own) if own else found
