"""Read checkpoints without running code in them.

Our checkpoints contain plain data. Those of genuine Dassl contain a scheduler object, so torch's
safe reader refuses them. Here an object of an unknown class becomes an inert placeholder, which is
then replaced by its attributes. A file is refused if it names a part of Python's standard library
that no checkpoint needs.
"""

import collections
import pickle
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import torch

# parts of the standard library in schedulers: they become placeholders, the rest is refused
_HARMLESS = {"collections", "copyreg", "copy_reg", "functools", "weakref", "enum", "types",
             "datetime", "pathlib", "argparse", "decimal", "fractions", "numbers"}
_HARMLESS_BUILTINS = {"set", "frozenset", "dict", "list", "tuple", "int", "float", "complex",
                      "bool", "str", "bytes", "bytearray", "object", "slice", "range"}


class _Placeholder:
    """Stands for an object of an unknown class; keeps its state and does nothing."""

    def __new__(cls, *args, **kwargs):
        return super().__new__(cls)

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        if isinstance(state, tuple) and len(state) == 2 and isinstance(state[0], dict):
            state = state[0]
        if isinstance(state, dict):
            self.__dict__.update({k: v for k, v in state.items() if isinstance(k, str)})

    def _ignore(self, *args, **kwargs):
        pass

    __call__ = __setitem__ = append = extend = add = update = _ignore


class _Refused(Exception):
    pass


class UnreadableError(RuntimeError):
    """A file is damaged; the message names it."""


class RefusedError(UnreadableError):
    """A file names something that could run a program; the message names both."""


def _numpy_scalar(dtype, data=b""):
    """Return the Python number of a pickled NumPy scalar."""
    code = getattr(dtype, "code", "")
    if not isinstance(data, bytes) or code.lstrip("<>=|") not in ("f2", "f4", "f8", "i4", "i8"):
        return _Placeholder()
    return np.frombuffer(data, dtype=code)[0].item()


class _NumpyDtype:
    """The letter code of a pickled dtype; all supported machines are little-endian."""

    def __init__(self, code="", *args):
        self.code = code if isinstance(code, str) else ""

    def __setstate__(self, state):
        pass


def _latin1(text, encoding=""):
    return text.encode("latin1") if isinstance(text, str) else b""


_SAFE = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch", "Size"): torch.Size,
    ("torch", "device"): torch.device,
    ("torch._utils", "_rebuild_tensor"): torch._utils._rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("numpy.core.multiarray", "scalar"): _numpy_scalar,
    ("numpy._core.multiarray", "scalar"): _numpy_scalar,
    ("numpy", "dtype"): _NumpyDtype,
    ("_codecs", "encode"): _latin1,
    **{("torch", str(value).removeprefix("torch.")): value
       for value in vars(torch).values() if isinstance(value, torch.dtype)},
    **{(module, name): getattr(torch, name)
       for module in ("torch", "torch.cuda", "torch.storage")
       for name in dir(torch) if name.endswith("Storage")},
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str):
        """Return the stand-in for a name in a file. Raise _Refused if no checkpoint needs it."""
        if (module, name) in _SAFE:
            return _SAFE[module, name]
        top = module.split(".")[0]
        if top in ("builtins", "__builtin__"):
            if name not in _HARMLESS_BUILTINS:
                raise _Refused(f"{top}.{name}")
        elif top in sys.stdlib_module_names and top not in _HARMLESS:
            raise _Refused(f"{module}.{name}")
        return type("Placeholder", (_Placeholder,), {})


def _load(file, **kwargs):
    return _Unpickler(file, **kwargs).load()


_RESTRICTED = SimpleNamespace(
    Unpickler=_Unpickler, load=_load, UnpicklingError=pickle.UnpicklingError, __name__="restricted"
)


def _content(fpath: str):
    try:
        return torch.load(fpath, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        found = torch.load(
            fpath,
            map_location="cpu",
            weights_only=False,
            pickle_module=_RESTRICTED,
            encoding="latin1",  # files of Python 2
        )
        return _plain(found, {})


def read_checkpoint(fpath: str):
    """Return the content of the file: numbers, texts, CPU tensors, and containers of them.

    Raise UnreadableError if the file is damaged, RefusedError if it is refused; both name it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle's protocols
            return _content(fpath)
    except _Refused as error:
        raise RefusedError(
            f"{fpath}: refused, it names {error}, which a checkpoint never needs and which could "
            "run a program; do not trust its source"
        ) from None
    except PermissionError:
        raise
    except Exception as error:  # a damaged file can cause any error
        detail = (str(error).splitlines() or [""])[0][:200] or type(error).__name__
        raise UnreadableError(
            f"{fpath}: not a checkpoint that can be read, damaged or cut short ({detail})"
        ) from error


def _plain(value, seen: dict):
    """Replace every placeholder in `value` by its attributes, without its optimizer."""
    if isinstance(value, _Placeholder):
        if id(value) in seen:
            return None  # a cycle
        seen[id(value)] = value
        state = {k: _plain(v, seen) for k, v in vars(value).items() if k != "optimizer"}
        del seen[id(value)]
        return state
    if isinstance(value, torch.Tensor | str | bytes | int | float | type(None)):
        return value
    if id(value) in seen:
        return None
    seen[id(value)] = value
    if isinstance(value, dict):
        items = {k: _plain(v, seen) for k, v in value.items() if not isinstance(k, _Placeholder)}
        result = collections.OrderedDict(items) if type(value) is not dict else items
    elif isinstance(value, list | tuple) and type(value) in (list, tuple):
        result = type(value)(_plain(v, seen) for v in value)
    else:
        result = value if isinstance(value, torch.Size | torch.device | torch.dtype) else None
    del seen[id(value)]
    return result
