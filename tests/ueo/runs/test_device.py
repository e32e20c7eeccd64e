"""What a run sets for the device that it is on."""

import pytest
import torch

from ueo.errors import ConfigError
from ueo.runs.start import set_device


@pytest.mark.parametrize(("there", "device", "search"), [
    (True, "auto", True), (True, "cuda", True), (True, "cpu", False), (False, "auto", False),
])
def test_cudnn_searches_for_the_fastest_convolutions_on_a_gpu_alone(
    there, device, search, monkeypatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    set_device(device, 0, None)
    assert torch.backends.cudnn.benchmark == search


def test_a_gpu_that_is_asked_for_must_be_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="--device cuda: torch sees no CUDA device"):
        set_device("cuda", 0, None)
