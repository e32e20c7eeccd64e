"""Image towers of open_clip: features, tuned parameters, and what only some of them support."""

import open_clip
import pytest
import torch
import torch.nn.functional as F
from conftest import random_clip
from small_towers import KINDS, SIZES
from torch import nn

from ueo.clip.fast_image import encode_images, folded
from ueo.clip.local_features import local_features
from ueo.clip.model import PromptedCLIP
from ueo.clip.towers import open_clip_files
from ueo.clip.towers.interface import affine_by_type
from ueo.clip.towers.layouts import RESNET, VIT, layout
from ueo.clip.towers.openai import affine_by_name
from ueo.errors import ConfigError
from ueo.trainers.entmin import use_batch_statistics

AFFINE = {"RN50-quickgelu": 53_248, "ViT-B-16-quickgelu": 39_936, "ViT-B-16-SigLIP": 39_936,
          "EVA02-B-16": 105_984, "PE-Core-B-16": 41_472, "MobileCLIP2-S0": 50_688,
          "convnext_base_w": 40_192}  # counted by hand on open_clip 3.3.0


@pytest.fixture(scope="module")
def visual_of(small_backbones):
    """visual_of(kind): open_clip's image tower of a small model, a new one at each call."""
    def load(kind: str) -> nn.Module:
        name = small_backbones(kind).removeprefix("open_clip:")
        return open_clip.create_model(name).eval().requires_grad_(False).visual

    return load


def images(kind: str, count: int = 3) -> torch.Tensor:
    """A batch of random images, channels last in memory as batches are."""
    size, generator = SIZES.get(kind, 32), torch.Generator().manual_seed(0)
    return torch.randn(count, size, size, 3, generator=generator).permute(0, 3, 1, 2)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_features_equal_the_librarys(visual_of, kind):
    expected = visual_of(kind)(images(kind).contiguous())
    visual = visual_of(kind).to(memory_format=torch.channels_last)
    for tower in (visual, folded(visual)):
        found = encode_images(tower, images(kind))
        torch.testing.assert_close(F.normalize(found, dim=-1), F.normalize(expected, dim=-1),
                                   atol=1e-5, rtol=0)
    assert F.normalize(expected, dim=-1).std(0).max() > 1e-3  # images differ


@pytest.mark.parametrize("kind", KINDS)
def test_the_affine_parameters_of_every_normalisation_layer_are_found(visual_of, kind):
    visual = visual_of(kind)
    found = affine_by_type(visual)
    assert all(parameter is visual.get_parameter(name) for name, parameter in found.items())
    missed = [name for name, p in visual.named_parameters() if name not in found and p.dim() == 1
              and name.endswith("weight")]
    assert not missed


@pytest.mark.parametrize("name", AFFINE)
def test_real_models_have_the_counted_affine_parameters(name):
    with torch.device("meta"):  # shapes alone
        visual = open_clip.create_model(name, load_weights=False, device="meta").visual
    assert sum(p.numel() for p in affine_by_type(visual).values()) == AFFINE[name]
    if name == "RN50-quickgelu":
        assert sum(p.numel() for p in affine_by_name(visual).values()) == 45_568


@pytest.mark.parametrize("kind", ["siglip", "eva", "pe", "mobileclip", "convnext"])
def test_timms_norms_stay_in_fp32_beside_fp16_weights(
    small_backbones, pretended_transformers, kind
):
    """In fp16 a step of fine-tuning would be rounded away in a weight of about 1."""
    name = small_backbones(kind)
    whole = open_clip_files.load(name, "fp32").visual
    half = open_clip_files.load(name, "fp16").visual
    tuned = affine_by_type(half)
    assert {p.dtype for p in tuned.values()} == {torch.float32}
    assert {p.dtype for n, p in half.named_parameters() if n not in tuned} == {torch.float16}
    with torch.no_grad():
        expected, found = whole(images(kind).contiguous()), half(images(kind).half().contiguous())
    assert found.dtype == torch.float16
    assert F.cosine_similarity(found.float(), expected).min() > 0.999


@pytest.mark.parametrize("kind", ["resnet", "vit"])
@torch.no_grad()
def test_openais_weights_give_openais_features(visual_of, kind):
    ours = random_clip({"resnet": "rn", "vit": "vit"}[kind]).visual
    theirs = visual_of({"vit": "vit_quickgelu"}.get(kind, kind))
    theirs.load_state_dict(ours.state_dict())
    assert layout(ours) == layout(theirs) == {"resnet": RESNET, "vit": VIT}[kind]
    for function in (encode_images, local_features):
        expected, found = function(ours, images(kind)), function(theirs, images(kind))
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)
    by_name, by_type = affine_by_name(theirs), affine_by_type(theirs)
    left_out = {name for name in by_type if "downsample.1" in name}
    assert set(by_type) - set(by_name) == left_out
    assert bool(left_out) == (kind == "resnet")


@pytest.mark.parametrize("changes", [
    {"pool_type": "avg"}, {"output_tokens": True}, {"attn_pool": nn.Identity()},
    {"ln_pre": nn.Identity()},
])
def test_a_vit_with_an_unknown_layout_gets_no_fast_path(visual_of, changes):
    visual = visual_of("vit")
    for name, value in changes.items():
        setattr(visual, name, value)
    assert layout(visual) is None


def test_a_visual_prompt_works_in_open_clips_vit_alone(small_clip):
    plain, prompted = small_clip("vit"), small_clip("vit")
    prompted.add_visual_prompt(3, torch.Generator().manual_seed(0))
    slow = small_clip("vit", fast=False)
    slow.add_visual_prompt(3, torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = prompted.image_features(images("vit"))
        assert (found - plain.image_features(images("vit"))).abs().max() > 1e-4
        torch.testing.assert_close(found, slow.image_features(images("vit")), atol=1e-5, rtol=0)
    with pytest.raises(ConfigError, match=r"'visual_prompt' needs .* TimmModel \(ConvNeXt\)"):
        small_clip("convnext").add_visual_prompt(3, torch.Generator())


@pytest.mark.parametrize("fast", [True, False])
@torch.no_grad()
def test_a_tower_of_timm_gets_channels_first(small_clip, fast):
    """Otherwise gradients of its weights are wrong, and the memory beside them is overwritten."""
    model, seen = small_clip("mobileclip", fast=fast), []
    trunk = model.visual.trunk
    trunk.register_forward_pre_hook(lambda module, args: seen.append(args[0].is_contiguous()))
    model.image_features(images("mobileclip"))
    assert seen == [True] and trunk.stem[1].conv_kxk[0].conv.weight.is_contiguous()


def test_batch_statistics_apply_to_timms_norms(small_clip):
    model = small_clip("mobileclip")
    assert model.independent
    use_batch_statistics(model.visual, "BATCH_STATS")
    assert not model.independent
    four, some = images("mobileclip", 4), images("mobileclip", 2)
    with torch.no_grad():
        assert (model.image_features(four)[:2] - model.image_features(some)).abs().max() > 1e-3
    with pytest.raises(ConfigError, match="no BatchNorm"):
        use_batch_statistics(small_clip("siglip").visual, "BATCH_STATS")


@pytest.fixture
def small_clip(visual_of):
    """small_clip(kind): a PromptedCLIP with an image tower alone."""
    class Backbone:
        text, token_embedding, dtype = nn.Identity(), nn.Identity(), torch.float32
        embedding, logit_scale, logit_bias = 32, 100.0, None

    def make(kind: str, fast: bool = True) -> PromptedCLIP:
        backbone = Backbone()
        backbone.visual = visual_of(kind)
        return PromptedCLIP(backbone, nn.Identity(), fast)

    return make
