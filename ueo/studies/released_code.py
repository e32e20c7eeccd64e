"""Import the released code of UEO from a checkout, without changing it.

The missing module data_list.py and, on a CPU, the calls of `.cuda()` are replaced by stand-ins.
"""

import importlib.util
import sys
import types
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

import torch
from torch import nn
from torch.utils.data import Dataset

from ueo.errors import DataError
from ueo.images.decoding import read_image


class Triples(Dataset):
    """Yields (image, label, index), like the lists of the released code."""

    def __init__(self, items, transform):
        self.items, self.transform = items, transform

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int):
        item = self.items[index]
        return self.transform(read_image(item.impath)), item.label, index


def released_code(folder: str) -> types.ModuleType:
    """Import demo.py of a checkout as a module. Raise DataError if it is missing."""
    file = Path(folder) / "demo.py"
    if not file.is_file():
        raise DataError(f"--released {folder}: holds no demo.py; name a checkout of tim-learn/UEO")
    sys.modules["data_list"] = types.SimpleNamespace(ImageList=None, ImageList_idx=None)
    spec = importlib.util.spec_from_file_location("released_ueo", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "train_clip"):
        raise DataError(f"{file}: has no train_clip; is this another version of the released code?")
    return module


@contextmanager
def without_gpu(device: torch.device):
    """Make `.cuda()` a no-op if the models are on the CPU."""
    with ExitStack() as patches:
        for kind in (torch.Tensor, nn.Module) if device.type != "cuda" else ():
            patches.enter_context(patch.object(kind, "cuda", lambda self, *args, **options: self))
        yield


@contextmanager
def recorded(module: types.ModuleType):
    """Yield (losses, weights of each batch), two lists that fill while the released code trains."""
    losses, weights = [], []
    backward, weighted = torch.Tensor.backward, module.loss_entropy_wei

    def spy(self, *args, **options):
        losses.append(self.item())
        return backward(self, *args, **options)

    def spy_weights(prob, weight):
        weights.append(weight.detach().float().cpu())
        return weighted(prob, weight)

    with (patch.object(torch.Tensor, "backward", spy),
          patch.object(module, "loss_entropy_wei", spy_weights)):
        yield losses, weights
