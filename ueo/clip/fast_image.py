"""CLIP's image towers without work that nobody reads: the same features up to rounding."""

import copy

import torch
import torch.nn.functional as F
from clip.model import VisionTransformer
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ueo.clip.attention import after_attention, project


def encode_images(visual: nn.Module, images: Tensor) -> Tensor:
    """Features (batch, embedding), not normalised, of images (batch, 3, height, width)."""
    if isinstance(visual, VisionTransformer):
        return _vision_transformer(visual, images)
    return visual(images.contiguous(memory_format=torch.channels_last))


def _vision_transformer(visual: VisionTransformer, images: Tensor) -> Tensor:
    """The last block works on the class token alone: the others are not read after it."""
    x = before_last_block(visual, images)
    last = visual.transformer.resblocks[-1]
    normalised = last.ln_1(x)
    _, key, value = project(last.attn, normalised)
    (query,) = project(last.attn, normalised[:, :1], parts=1)
    token = after_attention(last, x[:, :1], F.scaled_dot_product_attention(query, key, value))
    return visual.ln_post(token[:, 0]) @ visual.proj


def before_last_block(visual: VisionTransformer, images: Tensor) -> Tensor:
    """Tokens (batch, tokens, width) of images (batch, 3, height, width); the first is the class
    token, the patches' follow."""
    x = visual.conv1(images).flatten(2).transpose(1, 2)  # (batch, patches, width)
    start = visual.class_embedding.to(x.dtype).expand(len(x), 1, -1)
    x = torch.cat([start, x], dim=1) + visual.positional_embedding.to(x.dtype)
    x = visual.ln_pre(x).transpose(0, 1)  # (tokens, batch, width), the layout of CLIP's blocks
    *blocks, _ = visual.transformer.resblocks
    for block in blocks:
        x = block(x)
    return x.transpose(0, 1)


def folded(visual: nn.Module) -> nn.Module:
    """A copy whose BatchNorms are part of the convolutions before them, to evaluate with.

    The tower itself where there is nothing to fold: no BatchNorm, statistics of the batch, or half
    precision, in which folded weights would be rounded anew.
    """
    norms = [m for m in visual.modules() if isinstance(m, nn.BatchNorm2d)]
    exact = all(m.running_mean is not None and not m.training for m in norms)
    if not norms or not exact or next(visual.parameters()).dtype != torch.float32:
        return visual
    visual = copy.deepcopy(visual)
    for module in visual.modules():
        children = dict(module.named_children())
        for norm, child in children.items():
            if isinstance(child, nn.BatchNorm2d):
                # conv1 stands before bn1; in `downsample`, 0 before 1
                convolution = norm.replace("bn", "conv") if "bn" in norm else "0"
                fused = fuse_conv_bn_eval(children[convolution], child)
                setattr(module, convolution, fused)
                setattr(module, norm, nn.Identity())
    return visual.to(memory_format=torch.channels_last)
