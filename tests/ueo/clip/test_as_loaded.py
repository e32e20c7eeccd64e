"""A method's changes to a tower take effect, also where unused computation is skipped."""

import copy

import pytest
import torch
from conftest import random_clip, size_of
from torch import nn
from torch.nn.utils import parametrize

from ueo.clip.model import PromptedCLIP
from ueo.clip.prompts import PromptLearner
from ueo.clip.towers.openai import wrap
from ueo.errors import ConfigError

NAMES = ["mug", "sun"]
# layers of the image tower whose parameters the fast path reads without calling them
LAYERS = {"vit": ["transformer.resblocks.0.mlp.c_proj", "transformer.resblocks.0.mlp",
                  "transformer.resblocks.0", "transformer.resblocks.0.attn", "transformer"],
          "rn": ["attnpool.k_proj", "attnpool", "layer1.0", "layer1.0.relu3", "layer2.0.bn1"]}
CASES = [(kind, name) for kind, names in LAYERS.items() for name in names]


class More(nn.Module):
    """A layer whose output is increased by half of its absolute value."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def __getattr__(self, name: str):  # other attributes are the layer's
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("layer"), name)

    def forward(self, *args, **kwargs):
        return more(self, args, self.layer(*args, **kwargs))


def more(layer, args, given):
    if isinstance(given, tuple):
        return more(layer, args, given[0]), *given[1:]
    return given + given.abs() / 2


class Positive(nn.Module):
    def forward(self, weight):
        return weight.abs()


def prompted(model, fast: bool = True) -> PromptedCLIP:
    backbone = wrap(model)
    return PromptedCLIP(backbone, PromptLearner(NAMES, backbone, whole=not fast), fast)


def replace(tower: nn.Module, name: str, make) -> None:
    above, _, last = name.rpartition(".")
    setattr(tower.get_submodule(above), last, make(tower.get_submodule(name)))


def both(kind: str, change) -> tuple[list[torch.Tensor], PromptedCLIP]:
    """Features of the changed tower itself, and of a fast model in training and in evaluation."""
    model = random_clip(kind)
    ours = prompted(copy.deepcopy(model))
    images = torch.randn(3, 3, size_of(kind), size_of(kind))
    before = ours.encode_images(images)
    for visual in (model.visual, ours.visual):
        change(visual)
    with ours.evaluating():
        evaluated = ours.encode_images(images)
    found = [model.visual(images), ours.encode_images(images), evaluated]
    assert (found[0] - before).abs().max() > 1e-3
    return found, ours


def agree(found: list[torch.Tensor]) -> None:
    expected, *others = found
    for features in others:
        torch.testing.assert_close(features, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind, name", [c for c in CASES if not c[1].endswith("k_proj")])
def test_a_hook_has_the_same_effect_as_in_the_tower_itself(kind, name):
    found, ours = both(kind, lambda v: v.get_submodule(name).register_forward_hook(more))
    agree(found)
    assert name in ours.visual_as_loaded.changed()


@pytest.mark.parametrize("kind, name", [c for c in CASES if c[1] not in (
    "attnpool.k_proj", "transformer.resblocks.0.attn")])
def test_a_replaced_layer_is_called(kind, name):
    found, ours = both(kind, lambda v: replace(v, name, More))
    agree(found)
    assert name.rpartition(".")[0] in ours.visual_as_loaded.changed()


def test_a_replaced_forward_of_a_layer_is_called():
    def change(visual):
        layer = visual.transformer.resblocks[0].mlp.c_proj
        forward = layer.forward
        layer.forward = lambda x: 1.5 * forward(x)

    agree(both("vit", change)[0])


@pytest.mark.parametrize("kind, name", [
    ("vit", "transformer.resblocks.0.mlp.c_proj"), ("rn", "layer1.0.conv2")])
def test_a_parametrized_weight_is_used_and_work_is_still_skipped(kind, name):
    found, ours = both(kind, lambda v: parametrize.register_parametrization(
        v.get_submodule(name), "weight", Positive()))
    agree(found)
    assert ours.skips


def test_a_visual_prompt_and_a_copy_do_not_count_as_changes():
    ours = prompted(random_clip("vit"))
    ours.add_visual_prompt(2, torch.Generator().manual_seed(0))
    for model in (ours, copy.deepcopy(ours)):
        assert model.skips
        model.visual.transformer.resblocks[0].register_forward_hook(more)
        assert not model.skips


def test_a_changed_tower_has_no_local_features():
    ours, images = prompted(random_clip("vit")), torch.randn(2, 3, size_of("vit"), size_of("vit"))
    assert ours.local_features(images).ndim == 3
    replace(ours.visual, "transformer.resblocks.0.mlp", More)
    with pytest.raises(ConfigError, match="as it was loaded, .* changed in transformer.resblocks"):
        ours.local_features(images)


def test_a_removed_hook_does_not_count_as_a_change():
    ours = prompted(random_clip("vit"))
    ours.visual.transformer.register_forward_hook(more).remove()
    assert ours.skips


@pytest.mark.parametrize("part", ["mlp.c_proj", "attn", ""])
def test_a_changed_text_tower_has_its_effect_or_is_refused(part):
    model = random_clip("vit")
    unchanged = prompted(copy.deepcopy(model)).class_features()
    fast, whole = prompted(copy.deepcopy(model)), prompted(model, fast=False)
    for ours in (fast, whole):
        block = ours.text_encoder.blocks[0]
        (block.get_submodule(part) if part else block).register_forward_hook(more)
    expected = whole.class_features()
    assert (expected - unchanged).abs().max() > 1e-3
    if part:
        torch.testing.assert_close(fast.class_features(), expected, atol=1e-5, rtol=0)
        return
    with pytest.raises(ConfigError, match="block 0 of the text tower .* FAST to False"):
        fast.class_features()
