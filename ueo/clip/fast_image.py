"""CLIP's image towers without unused computation: the same features up to rounding."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from ueo.clip.attention import after_attention, merge_heads, project, split_heads
from ueo.clip.fused.resnet import normalised, pooled
from ueo.clip.fused.transformer import layer_norm
from ueo.clip.towers.layouts import RESNET, VIT, layout


def encode_images(visual: nn.Module, images: Tensor) -> Tensor:
    """Return features (batch, embedding), not normalised, of images (batch, 3, height, width)."""
    made = layout(visual)
    if made == VIT:
        return _vision_transformer(visual, images)
    if made == RESNET:
        return attention_pool(visual.attnpool, before_pool(visual, images))
    return visual(images)


def before_pool(visual: nn.Module, images: Tensor) -> Tensor:
    """Return what the attention pool of a ResNet receives, (batch, channels, height, width)."""
    x = images.contiguous(memory_format=torch.channels_last)
    for convolution, norm in ((visual.conv1, visual.bn1), (visual.conv2, visual.bn2),
                              (visual.conv3, visual.bn3)):
        x = normalised(norm, convolution(x))
    x = pooled(visual.avgpool, x)
    for layer in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
        for block in layer:
            x = _bottleneck(block, x)
    return x


def _bottleneck(block: nn.Module, x: Tensor) -> Tensor:
    """A residual block of CLIP's ResNet."""
    y = normalised(block.bn1, block.conv1(x))
    y = normalised(block.bn2, block.conv2(y))
    y = block.conv3(pooled(block.avgpool, y))
    if block.downsample is not None:
        pool, convolution, norm = block.downsample
        x = normalised(norm, convolution(pooled(pool, x)), relu=False)
    return normalised(block.bn3, y, x)


def attention_pool(pool: nn.Module, x: Tensor) -> Tensor:
    """Compute CLIP's AttentionPool2d: (batch, channels, height, width) -> (batch, embedding).

    With one query an image, no place needs a key and a value of its own: q' (K x + b) is (K' q)' x
    plus a constant that the softmax cancels, and sum_t p_t (V x_t + b) is V (sum_t p_t x_t) + b.
    That takes two products an image instead of two for each place.
    """
    x = x.flatten(2).transpose(1, 2)  # (batch, places, width)
    x = torch.cat([x.mean(1, keepdim=True), x], dim=1) + pool.positional_embedding.to(x.dtype)
    heads, width = pool.num_heads, x.shape[2]
    each = width // heads
    query = pool.q_proj(x[:, 0]).view(-1, heads, each).transpose(0, 1) * each**-0.5
    projected = torch.bmm(query, pool.k_proj.weight.view(heads, each, width)).transpose(0, 1)
    attention = (projected @ x.transpose(1, 2)).softmax(-1)  # (batch, heads, places)
    attended = (attention @ x).transpose(0, 1)  # (heads, batch, width)
    value = torch.bmm(attended, pool.v_proj.weight.view(heads, each, width).transpose(1, 2))
    return pool.c_proj(value.transpose(0, 1).flatten(1) + pool.v_proj.bias)


def _vision_transformer(visual: nn.Module, images: Tensor) -> Tensor:
    """Run a ViT whose last block computes the class token only; nothing reads the others."""
    x = before_last_block(visual, images)
    last = visual.transformer.resblocks[-1]
    normalised = layer_norm(last.ln_1, x)
    _, key, value = split_heads(project(last.attn, normalised), last.attn)
    (query,) = split_heads(project(last.attn, normalised[:, :1], parts=1), last.attn)
    attended = F.scaled_dot_product_attention(query, key, value)
    token = after_attention(last, x[:, :1], merge_heads(attended))
    return layer_norm(visual.ln_post, token[:, 0]) @ visual.proj


def before_last_block(visual: nn.Module, images: Tensor) -> Tensor:
    """Return tokens (batch, tokens, width) of images (batch, 3, height, width): the class token,
    then those of patches."""
    x = visual.conv1(images).flatten(2).transpose(1, 2)  # (batch, patches, width)
    start = visual.class_embedding.to(x.dtype).expand(x.shape[0], 1, -1)
    x = torch.cat([start, x], dim=1) + visual.positional_embedding.to(x.dtype)
    x = visual.ln_pre(x)  # a visual prompt is added by its hook
    *blocks, _ = visual.transformer.resblocks
    for block in blocks:
        parts = split_heads(project(block.attn, layer_norm(block.ln_1, x)), block.attn)
        x = after_attention(block, x, merge_heads(F.scaled_dot_product_attention(*parts)))
    return x


def folded(visual: nn.Module) -> nn.Module:
    """Return a copy whose BatchNorms are folded into the convolutions before them, for evaluation.

    Returns the tower itself if it is not OpenAI's ResNet, uses batch statistics, or is in half
    precision, in which folded weights would be rounded once more.
    """
    if layout(visual) != RESNET:
        return visual
    norms = [m for m in visual.modules() if isinstance(m, nn.BatchNorm2d)]
    exact = all(m.running_mean is not None and not m.training for m in norms)
    if not exact or next(visual.parameters()).dtype != torch.float32:
        return visual
    visual = _twin(visual)
    for module in visual.modules():
        children = dict(module.named_children())
        for norm, child in children.items():
            if isinstance(child, nn.BatchNorm2d):
                # conv1 precedes bn1; in `downsample`, 0 precedes 1
                convolution = norm.replace("bn", "conv") if "bn" in norm else "0"
                setattr(module, convolution, _fused(children[convolution], child))
                setattr(module, norm, nn.Identity())
    return visual


def _twin(module: nn.Module) -> nn.Module:
    """Return a copy of the module tree that shares its tensors, so that layers can be replaced."""
    twin = object.__new__(type(module))  # copy.copy refuses what is parametrized
    twin.__dict__.update(vars(module))
    twin._modules = {name: child if child is None else _twin(child)
                     for name, child in module._modules.items()}
    return twin


def _fused(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    weight, bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps,
        norm.weight, norm.bias
    )
    fused = _twin(convolution)
    fused.__class__, fused._modules = nn.Conv2d, {}  # drops parametrizations: `weight` has them
    fused._parameters = {
        "weight": nn.Parameter(weight.contiguous(memory_format=torch.channels_last)), "bias": bias,
    }
    return fused
