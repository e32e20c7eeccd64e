"""The pretended CUDA device itself: what it refuses and counts, and the end of its patches."""

import numpy as np
import pytest
import torch
from pretended_gpu import MixedDevices, pretended_gpu
from torch.utils.data import DataLoader

SPIED = (torch.autocast, torch.cuda.is_available, DataLoader.__init__, DataLoader.__iter__)


@pytest.fixture
def gpu():
    with pretended_gpu() as gpu:
        yield gpu


def test_results_stay_on_the_device_of_their_tensors(gpu):
    here, there = torch.ones(3), torch.ones(3).to("cuda")
    assert (here.device.type, there.device.type) == ("cpu", "cuda")
    assert (there * 2)[1:].sum().is_cuda and torch.zeros(2, device="cuda").is_cuda
    assert torch.zeros_like(there).is_cuda and not here.to(torch.float64).is_cuda
    module = torch.nn.Linear(2, 2).to("cuda")
    assert module.weight.is_cuda and module.half().weight.is_cuda
    module(torch.ones(1, 2, dtype=torch.half, device="cuda")).sum().backward()
    assert module.weight.grad.is_cuda


def test_devices_do_not_mix(gpu):
    with pytest.raises(MixedDevices, match="on the CPU"):
        torch.ones(3) + torch.ones(3, device="cuda")
    assert (torch.tensor(2.0) * torch.ones(3, device="cuda")).is_cuda  # a scalar may mix


@pytest.mark.parametrize("read", [
    lambda x: x.sum().item(), lambda x: x.nonzero(), lambda x: x[x > 0], lambda x: x.cpu(),
    lambda x: x.tolist(), lambda x: bool(x.isfinite().all()), lambda x: x[torch.tensor([0])],
    lambda x: torch.ones(3).to("cuda"), lambda x: torch.ones(3).to("cuda", non_blocking=True),
    lambda x: torch.tensor([1.0], device="cuda"), lambda x: x.copy_(torch.ones(3)),
])
def test_reads_by_the_host_are_counted_by_line(gpu, read):
    x = torch.ones(3, device="cuda")
    gpu.reset()
    read(x)
    (where,) = gpu.reads
    assert "tests/test_pretended_gpu.py:" in where


def test_calls_without_waiting_are_not_counted_as_reads(gpu):
    x, index = torch.ones(3, device="cuda"), torch.zeros(2, dtype=torch.long, device="cuda")
    x[index].masked_fill(x[:2] > 0, 1.0).index_add_(0, index, x[:2].clone())
    torch.ones(3).pin_memory().to("cuda", non_blocking=True)
    (batch,) = DataLoader(torch.ones(2, 3), batch_size=2, pin_memory=True)
    batch.to("cuda", non_blocking=True)
    assert not gpu.reads
    with pytest.raises(TypeError, match="numpy"):
        np.asarray(x.numpy())


def test_operators_that_launch_kernels_are_counted(gpu):
    x = torch.ones(2, 3, device="cuda", requires_grad=True)
    gpu.reset()
    y = x.t().view(3, 2).unsqueeze(0) * 2
    assert gpu.kernels == {"mul": 1}
    y.sum().backward()
    assert gpu.kernels["mul"] == 2 and gpu.kernels["sum"] == 1
    q = torch.ones(1, 2, 4, 8, device="cuda", dtype=torch.half)
    gpu.reset()
    torch.nn.functional.scaled_dot_product_attention(q, q, q, is_causal=True)
    assert sum(gpu.kernels.values()) == 1
    gpu.reset()
    attend = torch.nn.functional.scaled_dot_product_attention
    attend(q[None], q[None], q[None], is_causal=True)  # in five dimensions nothing is fused
    assert sum(gpu.kernels.values()) > 5


def test_the_pretended_gpu_ends_with_its_block():
    with pretended_gpu():
        x = torch.ones(3, device="cuda")
    assert x.device.type == "cpu"
    now = (torch.autocast, torch.cuda.is_available, DataLoader.__init__, DataLoader.__iter__)
    assert now == SPIED
