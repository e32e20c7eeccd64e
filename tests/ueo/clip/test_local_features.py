"""Local features against plain towers in which each position attends to itself alone."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import random_clip, size_of

from ueo.clip.fast_image import before_pool
from ueo.clip.local_features import local_features
from ueo.clip.model import PromptedCLIP
from ueo.clip.prompts import PromptLearner
from ueo.clip.towers.openai import wrap


def images(kind):
    return torch.randn(3, 3, size_of(kind), size_of(kind), generator=torch.manual_seed(0))


def alone(visual, tokens):
    """Let tokens of the last block attend to themselves alone."""
    mask = torch.full((tokens, tokens), float("-inf")).fill_diagonal_(0)
    visual.transformer.resblocks[-1].attn_mask = mask


@torch.no_grad()
def test_local_features_of_a_vit_are_patches_that_attend_to_themselves():
    visual = random_clip("vit").visual
    found = local_features(visual, images("vit"))
    seen = []
    visual.transformer.register_forward_hook(lambda *call: seen.append(call[2]))
    alone(visual, len(visual.positional_embedding))
    visual(images("vit"))
    tokens = visual.ln_post(seen[0].transpose(0, 1)[:, 1:]) @ visual.proj
    assert found.shape == (3, 4, 32)
    torch.testing.assert_close(found, F.normalize(tokens, dim=-1), atol=1e-5, rtol=0)


@torch.no_grad()
def test_local_features_of_a_resnet_use_the_value_and_output_projections():
    visual = random_clip("rn").visual
    grid = before_pool(visual, images("rn")).numpy()
    found = local_features(visual, images("rn")).numpy()
    value, out = visual.attnpool.v_proj, visual.attnpool.c_proj
    for row, column in np.ndindex(2, 2):
        x = grid[:, :, row, column] @ value.weight.numpy().T + value.bias.numpy()
        x = x @ out.weight.numpy().T + out.bias.numpy()
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        np.testing.assert_allclose(found[:, 2 * row + column], x, atol=1e-5)
    assert not visual.attnpool._forward_pre_hooks


@pytest.mark.parametrize("fast", [True, False])
@torch.no_grad()
def test_tokens_of_a_visual_prompt_have_no_local_features(fast):
    clip = wrap(random_clip("vit"))
    model = PromptedCLIP(clip, PromptLearner(["cat", "dog"], clip), fast=fast)
    without = local_features(model.visual, images("vit"))
    model.add_visual_prompt(5, torch.manual_seed(0))
    assert local_features(model.visual, images("vit")).shape == without.shape
