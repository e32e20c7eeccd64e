"""Parts of Dassl that this package lacks. Asking for one raises an error that names a remedy."""

import importlib.abc
import sys

SOURCE = "https://github.com/KaiyangZhou/Dassl.pytorch"
_WILDS = "dassl.data.datasets.dg.wilds"
_BACKBONES = "dassl.modeling.backbone"
_DYNAMIC = f"{_BACKBONES}.resnet_dynamic"
_DEPTHS = ("resnet18", "resnet50", "resnet101")
NAMES = {  # {name in a configuration or an import: its module in Dassl}
    "Camelyon17": f"{_WILDS}.camelyon17",
    "FMoW": f"{_WILDS}.fmow",
    "IWildCam": f"{_WILDS}.iwildcam",
    "WILDSBase": f"{_WILDS}.wilds_base",
    **{
        f"{depth}_dynamic{mixed}": _DYNAMIC
        for depth in _DEPTHS
        for mixed in ("", "_ms_l1", "_ms_l12", "_ms_l123")
    },
}
_READERS = "load_mnist load_mnist_m load_svhn load_syn load_usps read_image_list"
_INSIDE = {  # {module: missing names in it}
    "dassl.data.datasets.da.digit5": _READERS,
    "dassl.data.datasets.dg.digit_single": _READERS,
    "dassl.engine.da.cdac": "AAC custom_scheduler",
    f"{_BACKBONES}.alexnet": "AlexNet",
    f"{_BACKBONES}.cnn_digitsdg": "Convolution",
    f"{_BACKBONES}.efficientnet": "BlockArgs BlockDecoder EfficientNet GlobalParams efficientnet "
    "get_model_params model utils",
    f"{_BACKBONES}.preact_resnet18": "PreActBottleneck",
    f"{_BACKBONES}.vgg": "VGG cfgs make_layers",
    f"{_BACKBONES}.wide_resnet": "BasicBlock NetworkBlock",
    "dassl.modeling.network.ddaig_fcn": "LocNet ResnetBlock get_norm_layer",
}
MODULES = (_WILDS, _DYNAMIC, *(f"{m}.{n}" for m in _INSIDE for n in _INSIDE[m].split()))


def sentence(name: str) -> str:
    """Return where to find `name`, if it is in or below NAMES or MODULES; "" for any other name."""
    module = NAMES.get(name, name)
    if not any(f"{module}.".startswith(f"{left}.") for left in MODULES):
        return ""
    said = f"install {SOURCE} and set UEO_ENGINE=dassl"
    if module == name:
        return f"{name} is not part of this engine; Dassl has it: {said}"
    return (
        f"{name} is not part of this engine; Dassl has it, in {module}: {said}, or register a "
        "class of that name"
    )


class _Finder(importlib.abc.MetaPathFinder):
    """The last of Python's finders, so it is only asked for modules that were not found."""

    def find_spec(self, name, path=None, target=None):
        if said := sentence(name):
            raise ModuleNotFoundError(said, name=name)


def install() -> None:
    """Make an import of one of MODULES raise an error with the sentence."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
