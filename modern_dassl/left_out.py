"""What Dassl has and this package has not: one sentence, wherever it is asked for."""

import importlib.abc
import sys
from collections.abc import Callable

SOURCE = "https://github.com/KaiyangZhou/Dassl.pytorch"
_WILDS = "dassl.data.datasets.dg.wilds"
_DYNAMIC = "dassl.modeling.backbone.resnet_dynamic"
_DEPTHS = ("resnet18", "resnet50", "resnet101")
NAMES = {  # what a configuration or an import may name: the module that has it
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
MODULES = (_WILDS, _DYNAMIC)  # with what is below them


def sentence(name: str) -> str:
    """Where `name`, of NAMES or below MODULES, is to be found; "" for any other name."""
    module = NAMES.get(name, name)
    if not any(f"{module}.".startswith(f"{left}.") for left in MODULES):
        return ""
    return (
        f"{name} is not part of this engine; Dassl has it, in {module}: install {SOURCE} and set "
        "UEO_ENGINE=dassl, or register a class of that name"
    )


def refused_by(module: str) -> Callable[[str], object]:
    """The function `__getattr__` of a package that would hold names of NAMES."""

    def __getattr__(name: str):
        if name in NAMES:
            raise ImportError(sentence(name))
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return __getattr__


class _Finder(importlib.abc.MetaPathFinder):
    """Stands last among Python's finders, so that it is asked for missing modules alone."""

    def find_spec(self, name, path=None, target=None):
        if said := sentence(name):
            raise ModuleNotFoundError(said, name=name)


def install() -> None:
    """Let an import of one of MODULES end in the sentence."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
