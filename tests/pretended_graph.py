"""A pretended CUDA graph for the pretended GPU: a replay writes to the captured memory.

    with pretended_gpu(), pretended_graphs(): ...

As on CUDA, only operators are captured, no Python, and the host can read nothing meanwhile.
"""

import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from types import SimpleNamespace
from unittest.mock import patch

import torch
from pretended_gpu import PretendedGPU
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Graph:
    """Stands in for torch.cuda.CUDAGraph."""

    made: weakref.WeakSet = weakref.WeakSet()

    def __init__(self):
        self.operators, self.replays = [], 0
        self.made.add(self)

    @torch.no_grad()
    def replay(self) -> None:
        self.replays += 1
        for function, args, kwargs, out in self.operators:
            inputs = {t.untyped_storage() for t in _tensors((args, kwargs))}
            for kept, fresh in zip(_tensors(out), _tensors(function(*args, **kwargs))):
                if kept.untyped_storage() not in inputs:  # neither a view nor changed in place
                    kept.copy_(fresh)


class Recorder(TorchDispatchMode):
    """Stands in for torch.cuda.graph."""

    def __init__(self, graph: Graph, capture_error_mode: str = "global"):
        super().__init__()
        self.graph, graph.mode = graph, capture_error_mode

    def __enter__(self):
        PretendedGPU.recording = True
        return super().__enter__()

    def __exit__(self, *error):
        PretendedGPU.recording = False
        return super().__exit__(*error)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        self.graph.operators.append((function, args, kwargs or {}, out))
        return out


def _tensors(values) -> list[Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, Tensor)]


@contextmanager
def pretended_graphs() -> Iterator[None]:
    """Pretend CUDA graphs within the block."""
    stream = SimpleNamespace(wait_stream=lambda _: None)
    with ExitStack() as stack:
        for name, fact in {
            "CUDAGraph": Graph, "graph": Recorder, "Stream": lambda: stream,
            "current_stream": lambda: stream, "stream": lambda _: nullcontext(),
        }.items():
            stack.enter_context(patch.object(torch.cuda, name, fact))
        yield
