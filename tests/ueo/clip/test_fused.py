"""The project's own kernels against torch's, in Triton's interpreter and, if any, on a GPU."""

import os
import subprocess
import sys

import pytest
import torch

from ueo.clip.fused import available

INTERPRETED = """
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ueo.clip.fused import available, resnet, transformer

for mode in (nullcontext(), torch.no_grad(), torch.inference_mode(), FlopCounterMode(display=False),
             torch.autocast("cpu", torch.bfloat16)):
    with mode:
        worst = available.differences(torch.device("cpu"))
    assert len(worst) == 5 and max(worst.values()) < 2e-6, (mode, worst)
torch.manual_seed(0)
half = torch.randn(2, 3, 96, 10, 10).half()
x, other = (t.contiguous(memory_format=torch.channels_last) for t in half)
norm = nn.BatchNorm2d(96).eval()
norm.weight.data.uniform_(0.3, 2)
norm.running_var.uniform_(0.3, 2)
expected = F.relu(norm(x.float()).half() + other)  # rounded where torch's kernels round
torch.testing.assert_close(resnet.Norm.of(norm, x, other, True), expected, atol=0, rtol=2e-3)
lost = x.clone().index_fill_(0, torch.tensor([1]), float("nan")).requires_grad_()
found = resnet.Norm.of(norm, lost, None, True)  # a model that diverged shall be seen to
assert found[1].isnan().all() and not found[0].isnan().any()
(gradient,) = torch.autograd.grad(found[1].sum(), norm.weight)
assert gradient.isnan().all()
tokens = half[0].transpose(1, 3)  # not contiguous
layer = nn.LayerNorm(96)
expected = layer(tokens.float()).half()
torch.testing.assert_close(transformer.Norm.of(layer, tokens), expected, atol=1e-6, rtol=2e-3)
wide = torch.randn(5, 1000).half()  # more numbers than a program works on, and no multiple of them
expected = (wide.double() * torch.sigmoid(1.702 * wide.double())).half()
torch.testing.assert_close(transformer.QuickGELU.apply(wide), expected, atol=1e-6, rtol=2e-3)
"""


def test_kernels_equal_torchs_operations():
    pytest.importorskip("triton")
    done = subprocess.run([sys.executable, "-c", INTERPRETED], capture_output=True, text=True,
                          env={**os.environ, "TRITON_INTERPRET": "1"})
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_kernels_equal_torchs_operations_on_a_gpu():
    assert max(available.differences(torch.device("cuda")).values()) < 1e-5


@pytest.mark.parametrize(("found", "said"), [
    (ImportError("No module named 'triton'"), "No module named 'triton'"),
    ({"LayerNorm": 1e-7, "QuickGELU": float("nan")}, "QuickGELU differs from torch's by nan"),
    ({"LayerNorm": 0.1, "QuickGELU": 1e-7}, "LayerNorm differs from torch's by 1.0e-01"),
])
def test_kernels_that_fail_or_differ_are_replaced_with_one_message(
    monkeypatch, capsys, found, said
):
    def differences(device):
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(available, "differences", differences)
    available.available.cache_clear()
    assert not available.available()
    assert not available.available()
    available.available.cache_clear()
    assert capsys.readouterr().out.count(said) == 1
