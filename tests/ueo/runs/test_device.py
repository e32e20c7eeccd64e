"""What a run sets for the device that it is on."""

import pytest
import torch

from ueo.errors import ConfigError
from ueo.runs.start import set_up_torch


def test_a_gpu_that_is_asked_for_must_be_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="--device cuda: torch sees no CUDA device"):
        set_up_torch("cuda", 0, None)
