"""Imports torchvision without torch's compiler, which takes as long as all of torch.

torchvision asks the compiler one question, in an operation on boxes; whoever asks it gets the
answer then. What trains imports the compiler later, with its optimiser.
"""

import sys
from importlib import import_module
from types import ModuleType

import torch  # noqa: F401  (which may ask the compiler what it likes)

_ASKED = "torch._dynamo.utils"


class _Later(ModuleType):
    """Stands for the module until something but the question is wanted of it."""

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_compiler(), name)

    @staticmethod
    def is_compile_supported(device_type: str) -> bool:
        return _compiler().is_compile_supported(device_type)


def _compiler() -> ModuleType:
    if isinstance(sys.modules.get(_ASKED), _Later):
        del sys.modules[_ASKED]
    return import_module(_ASKED)


if "torchvision" not in sys.modules:
    sys.modules.setdefault(_ASKED, _Later(_ASKED))
    try:
        import torchvision  # noqa: F401
    finally:
        if isinstance(sys.modules.get(_ASKED), _Later):
            del sys.modules[_ASKED]
