"""Renders a clipped CT anew: puts plausible Hounsfield values back and shows another window.

The data set's CTs have every negative Hounsfield value set to 0 before one fixed window. Air, lung
and fat share one grey, a different one for each class, and a network learns that grey instead of
the organs. Here pixels of that grey outside the body become air, wide ones deep inside become lung
with vessels, the rest fat, and a random window of those in use is applied. A flat background that
is black was made by no such clipping (MRI, radiographs): there the greys of background, lung and
fat are changed, but no window is applied. Nothing depends on the class.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

from medloop.core.learn.draws import per_image

FLAT_SHARE: Final = 0.2  # an image with this share of pixels at one level has a flat background
# Grey levels:
BLACK: Final = 12.0  # a flat background below is of no clipped CT (here those have 25, 101 and 126)
FLAT_TOLERANCE: Final = 5.0  # by which JPEG moves a flat background
SOLID_CONTRAST: Final = 9.0  # above the background, that make a pixel part of the body
AIR: Final = -1000.0  # HU


def rerender(x: Tensor, generator: torch.Generator) -> Tensor:
    """Render float32 [N, H, W] in 0…255 anew, in place; images without a flat background stay."""
    level, is_flat = flat_background(x)
    if bool(is_flat.any()):
        x[is_flat] = _rerendered(x[is_flat], level[is_flat], generator)
    return x


def flat_background(x: Tensor) -> tuple[Tensor, Tensor]:
    """Give the commonest grey level [N], and whether it covers much of the image [N]."""
    levels = x.clamp(0, 255).long().flatten(1) + 256 * torch.arange(len(x))[:, None]
    counts = torch.bincount(levels.flatten(), minlength=256 * len(x)).view(len(x), 256)
    level = counts.argmax(1).float()
    share = ((x - level[:, None, None]).abs() <= 3).float().mean((1, 2))
    return level, share > FLAT_SHARE


def _rerendered(x: Tensor, level: Tensor, generator: torch.Generator) -> Tensor:
    def draw(low: float, high: float) -> Tensor:
        return per_image(x, generator, low, high)

    water = level[:, None, None]
    air, lung, flat = _regions(x, water, generator)
    brightest = 60 * torch.exp(draw(0, 1) * math.log(600 / 60))  # HU
    tissue = (x - water).clamp(min=0) / (255 - water).clamp(min=30) * brightest
    fat_hu, lung_hu = draw(-140, -40), draw(-920, -500)
    vessels = _blots(x, generator) * draw(0, 350)
    filled = torch.where(air, AIR, torch.where(lung, lung_hu + vessels, fat_hu))
    noise = torch.randn(x.shape, generator=generator) * (~air) * draw(0, 40)
    shown = _windowed(torch.where(flat, filled, tissue) + noise, generator)
    other = draw(0, 255)  # air of another grey: inverted, padded or letterboxed exports
    shown = torch.where(air & (draw(0, 1) < 0.3), other, shown)
    # Any grey for each of air, lung and fat, often the same for two of them.
    a, f, d = (draw(0, 255) for _ in range(3))
    merged = draw(0, 1)
    f = torch.where(merged < 0.4, a, f)
    d = torch.where(merged > 0.6, f, d)
    arbitrary = torch.where(flat, torch.where(air, a, torch.where(lung, d, f)), x)
    return torch.where((draw(0, 1) < 0.3) | (water < BLACK), arbitrary, shown)


def _windowed(hounsfield: Tensor, generator: torch.Generator) -> Tensor:
    """Show in 0…255 by a soft-tissue, lung or bone window, each varied."""
    kind = per_image(hounsfield, generator)
    soft, lung = kind < 0.5, kind < 0.85
    width = torch.where(soft, 350.0, torch.where(lung, 1400.0, 1800.0))
    width = per_image(hounsfield, generator, 0.6, 1.6) * width
    centre = torch.where(soft, 40.0, torch.where(lung, -550.0, 300.0))
    centre = centre + per_image(hounsfield, generator, -0.15, 0.15) * width
    return (((hounsfield - centre) / width + 0.5) * 255).clamp(0, 255)


def _regions(x: Tensor, water: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Find air, lung, and all pixels without tissue: bool [N, H, W] each."""
    size = x.shape[1]
    flat = x < water + FLAT_TOLERANCE
    solid = _smoothed(x > water + SOLID_CONTRAST, _bell(size, 0.7)) > 0.22  # no lone specks
    body = _smoothed(_hull(solid), _bell(size, 2.2)) > 0.5  # no slits where the skin line has gaps
    bell = _bell(size, 1.0 + 2.0 * float(torch.rand(1, generator=generator).item()))
    rim = _bell(size, 1.5 + 3 * float(torch.rand(1, generator=generator).item()))
    deep = (_smoothed(flat & body, bell) > 0.8) & (_smoothed(body, rim) > 0.97)
    lung = flat & body & (_smoothed(deep, bell) > 0.2)
    return flat & ~body, lung, flat


def _hull(solid: Tensor) -> Tensor:
    """Find where there is something solid to the left, to the right, above and below."""
    s = solid.float()
    until = torch.ones(s.shape[1:]).triu()
    row = ((s @ until) > 0.5) & ((s @ until.T) > 0.5)
    column = ((until.T @ s) > 0.5) & ((until @ s) > 0.5)
    return row & column


def _smoothed(x: Tensor, bell: Tensor) -> Tensor:
    return bell @ x.float() @ bell.T


def _bell(size: int, sigma: float) -> Tensor:
    """Make the matrix [size, size] of a Gaussian blur along one axis, rows summing to 1."""
    place = torch.arange(size, dtype=torch.float32)
    distance = (place[:, None] - place[None]).abs().clamp(max=5 * sigma)
    kernel = torch.exp(-distance.square() / (2 * sigma**2))
    return kernel / kernel.sum(1, keepdim=True)


def _blots(x: Tensor, generator: torch.Generator) -> Tensor:
    """Draw sparse bright spots of two pixels or so, about 1 where most of them are."""
    dots = torch.rand(x.shape, generator=generator) < 0.12
    return (_smoothed(dots, _bell(x.shape[1], 0.7)) * 4).clamp(max=1.5)
