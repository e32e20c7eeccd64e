"""The online protocol: orders, causality, going on after a kill, metrics over time."""

import numpy as np
import pytest
from conftest import read

ONLINE = ("DATASET.PROTOCOL", "online")


@pytest.mark.parametrize("kind", ["rn", "vit"])
@pytest.mark.parametrize("trainer", ["ZeroshotCLIP", "UEO", "EntMin", "InfoMax", "UniEntPlus"])
def test_a_stream_ends_in_a_complete_record(toy, trainer, kind):
    status, folder = toy("run", *ONLINE, trainer=trainer, kind=kind)
    assert status == 0
    result = read(folder)
    print(result["stream"]["answers"][-1], result["metrics"]["test"])
