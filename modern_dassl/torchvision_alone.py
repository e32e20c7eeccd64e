"""Import torchvision without torch's compiler, whose import takes as long as all of torch.

torchvision uses one function of the compiler, in an operation on boxes; a stand-in imports the
compiler when it is called. A training run imports the compiler later, with its optimiser.
"""

import sys
from importlib import import_module
from types import ModuleType

import torch  # noqa: F401  (before the stand-in, since torch may use the compiler)

_MODULE = "torch._dynamo.utils"


class _Later(ModuleType):
    """A stand-in for the module, which imports the real one on first use."""

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_compiler(), name)

    @staticmethod
    def is_compile_supported(device_type: str) -> bool:
        return _compiler().is_compile_supported(device_type)


def _compiler() -> ModuleType:
    if isinstance(sys.modules.get(_MODULE), _Later):
        del sys.modules[_MODULE]
    return import_module(_MODULE)


if "torchvision" not in sys.modules:
    sys.modules.setdefault(_MODULE, _Later(_MODULE))
    try:
        import torchvision  # noqa: F401
    finally:
        if isinstance(sys.modules.get(_MODULE), _Later):
            del sys.modules[_MODULE]
