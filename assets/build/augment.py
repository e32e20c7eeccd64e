"""Batched augmentation of drawings that removes the style and keeps the shape.

Pictures are RGBA in [0, 1], (batch, 4, size, size); results are RGB, (batch, 3, size, size).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LUMINANCE = (0.299, 0.587, 0.114)


def uniform(shape, low: float, high: float, g: torch.Generator) -> Tensor:
    return torch.empty(shape).uniform_(low, high, generator=g)


def chosen(count: int, share: float, g: torch.Generator) -> Tensor:
    """Random bool mask, (count, 1, 1, 1), true for about `share` of the pictures."""
    return (torch.rand(count, generator=g) < share).view(-1, 1, 1, 1)


def warp(rgba: Tensor, g: torch.Generator) -> Tensor:
    """Random rotation, zoom, stretch, shear, translation and flip. Returns premultiplied RGBA."""
    n = len(rgba)
    angle = uniform(n, -0.35, 0.35, g) * (torch.rand(n, generator=g) < 0.7)
    zoom = torch.exp(uniform(n, math.log(0.8), math.log(1.5), g))  # > 1 shrinks the drawing
    stretch = torch.exp(uniform(n, -0.2, 0.2, g))
    mirror = torch.where(torch.rand(n, generator=g) < 0.5, -1.0, 1.0)
    shear = uniform(n, -0.15, 0.15, g)
    cos, sin = torch.cos(angle), torch.sin(angle)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = zoom * stretch * cos * mirror, zoom * (shear - sin)
    theta[:, 1, 0], theta[:, 1, 1] = zoom * sin * mirror, zoom / stretch * cos
    theta[:, :, 2] = uniform((n, 2), -0.15, 0.15, g)
    premultiplied = torch.cat([rgba[:, :3] * rgba[:, 3:], rgba[:, 3:]], 1)
    grid = F.affine_grid(theta, list(rgba.shape), align_corners=False)
    return F.grid_sample(premultiplied, grid, align_corners=False)


def backgrounds(n: int, g: torch.Generator) -> Tensor:
    """Background colours, (n, 3, 1, 1): mostly white, some light, some of any colour."""
    kind = torch.rand(n, 1, 1, 1, generator=g)
    light, any_colour = uniform((n, 3, 1, 1), 0.7, 1, g), torch.rand(n, 3, 1, 1, generator=g)
    white = torch.ones(n, 3, 1, 1)
    return torch.where(kind < 0.65, white, torch.where(kind < 0.87, light, any_colour))


def recolour(rgb: Tensor, g: torch.Generator, share: float = 0.6) -> Tensor:
    """Mix colour channels and change brightness and contrast at random, in a share of pictures."""
    n = len(rgb)
    mix = torch.eye(3) + 0.25 * torch.randn(n, 3, 3, generator=g)
    mix = mix / mix.sum(-1, keepdim=True).clamp(min=0.3)
    mixed = torch.einsum("nij,njhw->nihw", mix, rgb)
    mixed = (mixed - 0.5) * uniform((n, 1, 1, 1), 0.6, 1.4, g) + 0.5
    mixed = mixed + uniform((n, 1, 1, 1), -0.15, 0.15, g)
    return torch.where(chosen(n, share, g), mixed, rgb).clamp(0, 1)


def grey(rgb: Tensor) -> Tensor:
    """Luminance, (batch, 1, size, size)."""
    return (rgb * torch.tensor(LUMINANCE).view(1, 3, 1, 1)).sum(1, keepdim=True)


def outlines(rgb: Tensor, g: torch.Generator) -> Tensor:
    """The picture's edges as dark lines of random strength and width on white."""
    p = F.pad(rgb, (1, 1, 1, 1), mode="replicate")
    edges = ((p[..., 1:-1, 2:] - p[..., 1:-1, :-2]).abs() + (
        p[..., 2:, 1:-1] - p[..., :-2, 1:-1]).abs()).amax(1, keepdim=True)
    thick = F.max_pool2d(edges, 3, 1, 1)
    edges = torch.where(chosen(len(rgb), 0.5, g), thick, edges)
    lines = 1 - edges * uniform((len(rgb), 1, 1, 1), 1.0, 4, g)
    return lines.clamp(0, 1).expand(-1, 3, -1, -1)


def ink(rgb: Tensor, g: torch.Generator) -> Tensor:
    """Black and white by a soft threshold, at a random luminance."""
    threshold = uniform((len(rgb), 1, 1, 1), 0.35, 0.8, g)
    return torch.sigmoid((grey(rgb) - threshold) * 25).expand(-1, 3, -1, -1)


def coarse(rgb: Tensor, g: torch.Generator) -> Tensor:
    """Half the resolution, scaled back up to the same size."""
    return F.interpolate(F.avg_pool2d(rgb, 2), scale_factor=2.0, mode="bilinear")


STYLES = (  # (share of the pictures, style)
    (0.15, lambda rgb, g: grey(rgb).expand(-1, 3, -1, -1)),
    (0.10, ink),
    (0.15, outlines),
    (0.05, lambda rgb, g: 1 - rgb),
    (0.15, coarse),
)


def restyle(rgb: Tensor, g: torch.Generator, strength: float = 1.0) -> Tensor:
    """Redraw some pictures in other styles: grey, ink, outlines, negative, coarse pixels.
    `strength` scales the shares in STYLES."""
    for share, style in STYLES:
        at = torch.nonzero(torch.rand(len(rgb), generator=g) < strength * share).flatten()
        if len(at):
            rgb[at] = style(rgb[at], g)
    return rgb


def augment(rgba: Tensor, g: torch.Generator, strength: float = 1.0) -> Tensor:
    """Apply all augmentations to a batch. `strength` scales the share of pictures whose colour or
    style changes."""
    warped = warp(rgba, g)
    shown = warped[:, :3] + backgrounds(len(rgba), g) * (1 - warped[:, 3:])
    return restyle(recolour(shown, g, 0.6 * strength), g, strength).clamp(0, 1)
