"""The set-up of torch for a run's device."""

import pytest
import torch

from ueo.errors import ConfigError
from ueo.runs.start import set_up_torch


def test_a_missing_gpu_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="--device cuda: torch sees no CUDA device"):
        set_up_torch("cuda", 0, None)
