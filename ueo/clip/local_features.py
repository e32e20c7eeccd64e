"""Local image features in the space of the class features, one for each place of the grid.

As in the released code of GL-MCM (Miyai et al., IJCV 2025), the last attention is left out: each
place keeps its own value. In a ViT it then passes the rest of the last block, the last
normalisation and the projection; in a ResNet the pool's output layer, without position.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from ueo.clip.attention import after_attention, project
from ueo.clip.fast_image import before_last_block, before_pool
from ueo.clip.towers.layouts import RESNET, VIT, described, layout
from ueo.errors import ConfigError


def local_features(visual: nn.Module, images: Tensor) -> Tensor:
    """Return unit vectors (batch, places, embedding) of images (batch, 3, height, width).

    visual: a tower with a layout (towers/layouts.py). Raises ConfigError for another.
    """
    of_tower = {VIT: _of_vit, RESNET: _of_resnet}.get(layout(visual))
    if of_tower is None:
        raise ConfigError(f"local features need a ViT or ResNet made as OpenAI's, and this image "
                          f"tower is a {described(visual)}")
    return F.normalize(of_tower(visual, images.to(visual.conv1.weight.dtype)), dim=-1)


def _of_vit(visual: nn.Module, images: Tensor) -> Tensor:
    patches = len(visual.positional_embedding) - 1  # followed by tokens of a visual prompt
    x = before_last_block(visual, images)[:, 1 : 1 + patches]
    last = visual.transformer.resblocks[-1]
    value = project(last.attn, last.ln_1(x)).chunk(3, -1)[2]
    return visual.ln_post(after_attention(last, x, value)) @ visual.proj


def _of_resnet(visual: nn.Module, images: Tensor) -> Tensor:
    pool, places = visual.attnpool, before_pool(visual, images)
    return pool.c_proj(pool.v_proj(places.flatten(2).transpose(1, 2)))
