"""A pretended CUDA device: the CPU computes, and the kernels and reads of a GPU are counted.

    with pretended_gpu() as gpu:
        model.to("cuda")
        ...
    gpu.kernels, gpu.reads   # Counters: by operator, and by "what file:line of ours"

A tensor's storage is on the CPU or on the pretended device. An operator that mixes both raises, as
CUDA would. A *read* is whatever makes the host wait for the device: a value that is read (item,
tolist, nonzero, a mask as an index), a copy to the CPU, and a copy to the device that is not of
pinned memory or not `non_blocking`. A *kernel* is an operator that launches one: views and empty
tensors do not. Fused attention is one operator forward and one backward, on a CPU as on CUDA. An
optimiser's operator on a list of tensors is one, too. CUDA may split an operator into a few
kernels, so counts serve to compare implementations and to bound one; they are not times.

All patches end with the block. `torch.autocast` casts as on a CPU, but to half precision.
"""

import sys
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import dataloader

from ueo.clip.fused import available

ROOT = Path(__file__).resolve().parents[1]
CPU, GPU, EITHER = "cpu", "cuda", "either"  # EITHER: made in an operator, from no tensor
NO_LAUNCH = set("""
    alias as_strided detach diagonal empty empty_like empty_strided expand is_same_size lift_fresh
    movedim narrow new_empty new_empty_strided permute resize_ select set_ slice split
    split_with_sizes squeeze t transpose unbind unfold unsqueeze view view_as_real
    _local_scalar_dense _reshape_alias _unsafe_view
""".split())
READS = {"_local_scalar_dense", "equal", "is_nonzero", "masked_select", "nonzero", "_unique",
         "_unique2", "unique_consecutive", "unique_dim"}
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}
MAY_MIX = {"copy_", "_to_copy", *INDEXING}
DEVICE, IS_CUDA = Tensor.device.__get__, Tensor.is_cuda.__get__


def _tensors(values) -> list[Tensor]:
    """The tensors in nested tuples, lists and dictionaries."""
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, dict):
        values = values.values()
    elif not isinstance(values, tuple | list):
        return []
    return [tensor for value in values for tensor in _tensors(value)]


class MixedDevices(RuntimeError):
    """An operator got tensors of both devices."""


class PretendedGPU:
    """The device of each storage, and the counts. goal: the device that a call asks for. recording:
    whether a graph is being captured (pretended_graph.py), during which no read is allowed."""

    recording = False

    def __init__(self):
        self.kernels: Counter[str] = Counter()
        self.reads: Counter[str] = Counter()
        self.goal: str | None = None
        self.places = weakref.WeakKeyDictionary()  # storage -> CPU, GPU or EITHER
        self.pinned = weakref.WeakSet()

    def reset(self) -> None:
        """Count from zero."""
        self.kernels.clear()
        self.reads.clear()

    def place(self, tensor: Tensor) -> str:
        return self.places.get(tensor.untyped_storage(), CPU)

    def read(self, what: str) -> None:
        """Count a read, under the innermost line of this project on the stack."""
        if self.recording:
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing")
        frame = sys._getframe(1)
        while frame is not None and not self._is_ours(frame.f_code.co_filename):
            frame = frame.f_back
        at = "?" if frame is None else (
            f"{Path(frame.f_code.co_filename).relative_to(ROOT)}:{frame.f_lineno}")
        self.reads[f"{what} {at}"] += 1

    @staticmethod
    def _is_ours(file: str) -> bool:
        return file.startswith(str(ROOT)) and file != __file__ and "/.venv/" not in file

    def copied(self, source: Tensor, target: str, non_blocking: bool) -> None:
        """Count a copy as a read if the host waits for it."""
        there = self.place(source)
        if there == GPU and target == CPU:
            self.read("copy to the CPU")
        elif there != target and not (non_blocking and source.untyped_storage() in self.pinned):
            self.read("copy to the device")


class Operators(TorchDispatchMode):
    """Intercepts every operator, also in backward passes."""

    def __init__(self, gpu: PretendedGPU):
        super().__init__()
        self.gpu = gpu

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        gpu, name = self.gpu, function._schema.name.removeprefix("aten::")
        tensors = _tensors((args, kwargs))
        places = [gpu.place(t) for t in tensors]
        if GPU in places:
            self._check(name, tensors, places)
            self._count(name, args)
        out = function(*args, **(kwargs or {}))
        place = self._place_of_result(name, places)
        for tensor in _tensors(out):
            gpu.places.setdefault(tensor.untyped_storage(), place)
        return out

    def _check(self, name: str, tensors: list[Tensor], places: list[str]) -> None:
        alien = [t for t, place in zip(tensors, places) if place == CPU and t.dim()]
        if alien and name not in MAY_MIX:
            raise MixedDevices(f"{name}: {tuple(alien[0].shape)} is on the CPU, others on CUDA")

    def _count(self, name: str, args: tuple) -> None:
        gpu = self.gpu
        if name not in NO_LAUNCH:
            gpu.kernels[name] += 1
        if name in READS:
            gpu.read(name)
        if name == "copy_":
            gpu.copied(args[1], gpu.place(args[0]), bool(args[2:] and args[2]))
        for index in args[1] if name in INDEXING else ():
            if index is not None and (index.dtype == torch.bool or gpu.place(index) == CPU):
                gpu.read("a mask or what is on the CPU as an index")

    def _place_of_result(self, name: str, places: list[str]) -> str:
        if self.gpu.goal is not None:
            return self.gpu.goal
        if not places:
            return EITHER
        if name in MAY_MIX:
            return places[0]
        return GPU if GPU in places else places[0]


class Functions(TorchFunctionMode):
    """Intercepts every call of torch's Python functions, which take the device as an argument."""

    def __init__(self, gpu: PretendedGPU):
        super().__init__()
        self.gpu = gpu

    def __torch_function__(self, function, types, args=(), kwargs=None):
        gpu, name, kwargs = self.gpu, getattr(function, "__name__", ""), dict(kwargs or {})
        if isinstance(function, torch._ops.OpOverload):  # another mode's call: left to Operators
            return function(*args, **kwargs)
        if function == DEVICE:
            return torch.device("cuda", 0) if gpu.place(args[0]) == GPU else torch.device("cpu")
        if function == IS_CUDA:
            return gpu.place(args[0]) == GPU
        if name in ("to", "cuda", "cpu") and isinstance(args[0], Tensor):
            return self._moved(name, function, args, kwargs)
        if name == "pin_memory":
            gpu.pinned.add(args[0].untyped_storage())
            return args[0]
        if name == "is_pinned":
            return args[0].untyped_storage() in gpu.pinned
        if name == "numpy" and gpu.place(args[0]) == GPU:
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        if name == "tolist" and gpu.place(args[0]) == GPU:
            gpu.read(name)
        out = self._made(name, function, args, kwargs)
        if name == "__deepcopy__":
            gpu.places[out.untyped_storage()] = gpu.place(args[0])
        return out

    def _made(self, name: str, function, args: tuple, kwargs: dict):
        """Call a function that may take a `device`, and note where its result is."""
        gpu, device = self.gpu, kwargs.get("device")
        if device is None:
            out = function(*args, **kwargs)
            made = isinstance(out, Tensor) and not any(isinstance(a, Tensor) for a in args)
            if made and gpu.place(out) == EITHER:
                gpu.places[out.untyped_storage()] = CPU
            return out
        goal = GPU if str(device).startswith("cuda") else CPU
        if name in ("tensor", "as_tensor") and goal == GPU:
            gpu.read("a tensor made of Python's numbers")
        with patch.object(gpu, "goal", goal):
            out = function(*args, **{**kwargs, "device": "cpu"})
        for tensor in _tensors(out):
            gpu.places[tensor.untyped_storage()] = goal
        return out

    def _moved(self, name: str, function, args: tuple, kwargs: dict) -> Tensor:
        """Do what Tensor.to, .cuda or .cpu does."""
        gpu, tensor, rest = self.gpu, args[0], list(args[1:])
        there, goal, out = gpu.place(tensor), {"cuda": GPU, "cpu": CPU}.get(name), tensor
        if name == "to":
            if rest and isinstance(rest[0], torch.device | str | int):
                kwargs["device"] = rest.pop(0)
                kwargs.update(zip(("dtype", "non_blocking", "copy"), rest))
                rest = []
            elif rest and isinstance(rest[0], Tensor):
                goal = gpu.place(rest[0])
            if kwargs.get("device") is not None:
                goal = CPU if str(kwargs["device"]).startswith("cpu") else GPU
                kwargs["device"] = "cpu"
            out = function(tensor, *rest, **kwargs)
        if goal in (None, there):
            return out
        gpu.copied(tensor, goal, kwargs.get("non_blocking", False))
        if out.untyped_storage() is tensor.untyped_storage():
            with patch.object(gpu, "goal", goal):
                out = out.clone()
        gpu.places[out.untyped_storage()] = goal
        return out


class HalfAutocast(torch.autocast):
    """The CPU's autocast in place of CUDA's."""

    def __init__(self, device_type: str, dtype=None, enabled: bool = True, cache_enabled=None):
        dtype = torch.float16 if device_type == GPU else dtype
        super().__init__(CPU, dtype=dtype, enabled=enabled, cache_enabled=cache_enabled)


FACTS = {  # what functions of torch.cuda return
    "is_available": True, "device_count": 1, "current_device": 0, "get_device_name": "pretended",
    "mem_get_info": (2**36, 2**36), "memory_allocated": 0, "memory_reserved": 0,
    "max_memory_allocated": 0, "is_current_stream_capturing": False, "get_rng_state_all": [],
    **dict.fromkeys(("set_rng_state_all", "manual_seed_all", "synchronize", "empty_cache",
                     "_lazy_init", "reset_peak_memory_stats")),
}


@contextmanager
def pretended_gpu() -> Iterator[PretendedGPU]:
    """Pretend a CUDA device within the block."""
    gpu, loader = PretendedGPU(), dataloader.DataLoader
    start, iterate = loader.__init__, loader.__iter__

    def without_pinning(self, *args, **options):
        self.pretends_to_pin = options.pop("pin_memory", False)
        start(self, *args, **options)

    def pinned(self):
        for batch in iterate(self):
            if self.pretends_to_pin:
                gpu.pinned.update(t.untyped_storage() for t in _tensors(batch))
            yield batch

    with ExitStack() as stack:
        for name, fact in FACTS.items():
            answer = lambda *_, fact=fact: fact  # noqa: E731
            stack.enter_context(patch.object(torch.cuda, name, answer))
        stack.enter_context(patch.object(torch, "autocast", HalfAutocast))
        # Triton would launch kernels on a device that does not exist
        stack.enter_context(patch.object(available, "available", lambda: False))
        stack.enter_context(patch.object(loader, "__init__", without_pinning))
        stack.enter_context(patch.object(loader, "__iter__", pinned))
        stack.enter_context(Functions(gpu))
        stack.enter_context(Operators(gpu))
        yield gpu
