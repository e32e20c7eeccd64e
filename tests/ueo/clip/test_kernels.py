"""Kernels of a training step, counted on a pretended GPU: skipping work must not cost launches.

The towers have the depth of OpenAI's and little width: what is launched does not depend on it.
"""

import pytest
import torch
from clip.model import CLIP, convert_weights
from pretended_gpu import pretended_gpu

from ueo.clip.model import PromptedCLIP
from ueo.clip.prompts import PromptLearner
from ueo.clip.towers.openai import wrap
from ueo.clip.tuning import select
from ueo.losses import universal_entropy
from ueo.machine.measured import names

NARROW = {  # as in ueo.clip.architectures; two heads, since one needs no transposing
    "RN50": (32, 64, (3, 4, 6, 3), 8, None, 77, 49408, 16, 2, 12),
    "ViT-B/32": (32, 64, 12, 128, 32, 77, 49408, 16, 2, 12),
}


def kernels(name: str, count: int, fast: bool, precision: str = "fp16") -> dict[str, int]:
    """Number of kernels in each part of a step of UEO."""
    torch.manual_seed(0)
    clip_model = CLIP(*NARROW[name]).eval().requires_grad_(False)
    if precision == "fp16":
        convert_weights(clip_model)
    found = {}
    with pretended_gpu() as gpu:
        clip_model.to("cuda")
        backbone = wrap(clip_model)
        prompt = PromptLearner(names(count), backbone, whole=not fast)
        model = PromptedCLIP(backbone, prompt, fast=fast).to("cuda")
        tuned = [p.requires_grad_() for g in select(model, "both").values() for p in g.values()]
        optimiser = torch.optim.SGD(tuned, lr=1e-4)
        images, weight = torch.randn(2, 3, 64, 64).to("cuda"), torch.ones(2).to("cuda")

        def part(name: str, work):
            gpu.reset()
            out = work()
            found[name] = sum(gpu.kernels.values())
            assert not gpu.reads, gpu.reads
            return out

        with torch.autocast("cuda", enabled=precision == "amp"):
            classes = part("text", model.class_features)
            features = part("image", lambda: model.image_features(images))
            prob = (100 * model.cosines(features, classes).float()).softmax(-1)
            loss = sum(universal_entropy(prob, weight))
        part("text backward", lambda: classes.backward(classes, retain_graph=True))
        part("backward", loss.backward)
        part("optimiser", optimiser.step)
    return found


@pytest.mark.parametrize(("backbone", "count"), [
    *((name, count) for name in NARROW for count in (10, 50)),
    ("RN50", 300),  # the ViT has the same text tower, and its images do not depend on names
])
def test_a_fast_step_launches_no_more_than_a_plain_one(backbone, count):
    fast, plain = (kernels(backbone, count, fast) for fast in (True, False))
    for part in ("text", "text backward", "backward", "optimiser"):
        assert fast[part] <= plain[part]
    step = ("text", "image", "backward", "optimiser")
    assert sum(fast[p] for p in step) < 0.92 * sum(plain[p] for p in step)


@pytest.mark.parametrize("precision", ["fp32", "amp"])
@pytest.mark.parametrize("backbone", NARROW)
def test_a_fast_step_launches_fewer_kernels_in_every_precision(backbone, precision):
    fast, plain = (kernels(backbone, 10, fast, precision) for fast in (True, False))
    assert fast["text"] <= plain["text"] and fast["backward"] < plain["backward"]
