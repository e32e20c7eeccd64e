"""The fast towers, which skip work, against the plain ones: features, gradients, exceptions."""

import clip
import pytest
import torch
import torch.nn.functional as F
from conftest import random_clip, size_of

from ueo.clip.fast_image import encode_images, folded
from ueo.clip.fast_text import encode_shared
from ueo.clip.model import PromptedCLIP
from ueo.clip.prompts import PromptLearner
from ueo.clip.towers.openai import affine_by_name, wrap

NAMES = ["mug", "acoustic_guitar", "The_Eiffel_Tower_at_night_in_winter", "t-shirt", "sun"]


@pytest.fixture(params=["rn", "vit"])
def kind(request):
    return request.param


def prompted(kind: str, fast: bool, dtype=torch.float32, **options) -> PromptedCLIP:
    model = wrap(random_clip(kind).to(dtype))
    prompt = PromptLearner(NAMES, model, whole=not fast, **options)
    return PromptedCLIP(model, prompt, fast=fast)


def gradients(model: PromptedCLIP, images: torch.Tensor) -> tuple[torch.Tensor, list]:
    """Scaled logits, and the gradients of a fixed function of them to all that UEO tunes."""
    logits = 100 * model(images)
    weight = torch.linspace(-1, 1, logits.numel()).view_as(logits)
    tuned = [model.prompt.ctx, *affine_by_name(model.visual).values()]
    return logits.detach(), torch.autograd.grad((logits.softmax(-1) * weight).sum(), tuned)


@pytest.mark.parametrize("options", [
    {}, {"class_specific": True}, {"position": "middle"}, {"position": "front"},
    {"context": "", "n_ctx": 16},
])
@pytest.mark.parametrize("dtype, tolerance, of_gradient", [
    (torch.float64, 1e-11, 1e-10), (torch.float32, 5e-5, 1e-3),
])
def test_logits_and_gradients_agree_with_the_plain_towers(
    kind, options, dtype, tolerance, of_gradient, monkeypatch
):
    """In float64 a difference would be an error in the algebra; in fp32 rounding adds to it."""
    if dtype == torch.float64:
        monkeypatch.setattr(clip.model.LayerNorm, "forward", torch.nn.LayerNorm.forward)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(3, 3, size_of(kind), size_of(kind), dtype=dtype, generator=generator)
    fast, fast_gradients = gradients(prompted(kind, True, dtype, **_seeded(options)), images)
    plain, plain_gradients = gradients(prompted(kind, False, dtype, **_seeded(options)), images)
    torch.testing.assert_close(fast, plain, atol=tolerance, rtol=0)
    for a, b in zip(fast_gradients, plain_gradients):
        assert (a - b).norm() <= of_gradient * b.norm()
    assert max(g.abs().max() for g in plain_gradients) > 1e-4


def _seeded(options: dict) -> dict:
    return {**options, "generator": torch.Generator().manual_seed(3)}


def test_a_shifted_beginning_per_image_equals_a_shifted_prompt():
    model = prompted("vit", True)
    shifts = torch.randn(4, 64)
    prompt, tower = model.prompt, model.text_encoder
    together = encode_shared(tower, prompt.beginning(shifts), prompt.own)
    for features, shift in zip(together, shifts):
        torch.testing.assert_close(features, tower(prompt(shift), prompt.end), atol=2e-5, rtol=1e-5)


def test_half_precision_stays_half():
    model = wrap(random_clip("vit"))
    clip.model.convert_weights(model.model)
    prompt = PromptLearner(NAMES, model)
    features = PromptedCLIP(model, prompt).class_features()
    assert features.dtype == torch.float16
    assert F.cosine_similarity(features.float(), prompted("vit", True).class_features()).min() > .99


def test_folded_norms_give_the_same_features_and_leave_the_tower_alone():
    visual = random_clip("rn").visual
    before = {name: value.clone() for name, value in visual.state_dict().items()}
    images = torch.randn(5, 3, 64, 64)
    copy = folded(visual)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in copy.modules())
    plain = visual(images)
    torch.testing.assert_close(encode_images(copy, images), plain,
                               atol=2e-5 * plain.abs().max().item(), rtol=0)
    assert all(torch.equal(value, before[name]) for name, value in visual.state_dict().items())


def test_towers_without_running_statistics_are_not_folded():
    assert folded(vit := random_clip("vit").visual) is vit
    batch_statistics = random_clip("rn").visual
    batch_statistics.bn1.running_mean = None
    assert folded(batch_statistics) is batch_statistics


@pytest.mark.parametrize("kept", [False, True])
def test_the_folded_tower_is_not_used_after_evaluation(kept):
    model = prompted("rn", True)
    model.keeps_folded = kept
    images = torch.randn(2, 3, 64, 64)
    with model.evaluating():
        first = model.image_features(images)
    with torch.no_grad():
        model.visual.bn1.weight.mul_(1.5)
    second = model.image_features(images)
    assert second.requires_grad is False or second.grad_fn is not None
    assert not torch.allclose(first, second, atol=1e-4)
    with model.evaluating():
        torch.testing.assert_close(model.image_features(images), second, atol=1e-5, rtol=0)
    assert not any("fold" in name for name, _ in model.named_modules())


def test_a_folded_tower_that_is_kept_is_built_once():
    model = prompted("rn", True)
    model.keeps_folded, towers = True, []
    for _ in range(2):
        with model.evaluating():
            towers += model._folded
    assert towers[0] is towers[1] is not model.visual


def _loaded(visual):
    visual.load_state_dict({name: 1.1 * value for name, value in visual.state_dict().items()})


def _exchanged(visual):
    for _ in range(2):  # the second tensor may get the first one's memory
        visual.conv2.weight.data = visual.conv2.weight.data * 1.5


def _replaced(visual):
    visual.bn1.weight = torch.nn.Parameter(visual.bn1.weight * 1.5)


@pytest.mark.parametrize("move", [_loaded, _exchanged, _replaced])
def test_a_folded_tower_that_is_kept_is_rebuilt_after_its_weights_change(move):
    model, images = prompted("rn", True), torch.randn(2, 3, 64, 64)
    model.keeps_folded = True
    with model.evaluating():
        model.image_features(images)
    with torch.no_grad():
        move(model.visual)
    plain = prompted("rn", True)
    plain.visual.load_state_dict(model.visual.state_dict())
    with model.evaluating(), plain.evaluating():
        assert torch.equal(model.image_features(images), plain.image_features(images))
    with torch.no_grad():
        assert torch.equal(model.image_features(images), plain.image_features(images))


def test_a_model_built_in_inference_mode_works_outside_it():
    with torch.inference_mode():
        model = prompted("rn", True)
    model.keeps_folded = True
    for _ in range(2):
        with model.evaluating():
            assert model.image_features(torch.randn(2, 3, 64, 64)).isfinite().all()
