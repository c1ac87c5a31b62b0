"""Renders a clipped CT anew: puts plausible negative Hounsfield values back and shows the slice in another window.

The data set's CTs have every negative Hounsfield value set to 0 before one fixed window: air, lung and fat share one
grey, a different one for each class, and a network learns that grey instead of the organs. Here pixels of that grey
outside the body become air, wide ones deep inside become lung with vessels, the rest fat, and a random window of those
in use is applied. A flat background that is black was made by no such clipping (MRI, radiographs): there the greys of
background, lung and fat are changed, but no window is applied. Nothing depends on the class.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

FLAT_SHARE: Final = 0.2  # an image with this share of pixels at one level has a flat background
BLACK: Final = 12.0  # grey levels; a flat background below is of no clipped CT (here those have 25, 101 and 126)
FLAT_TOLERANCE: Final = 5.0  # grey levels by which JPEG moves a flat background
SOLID_CONTRAST: Final = 9.0  # grey levels above the background that make a pixel part of the body
AIR: Final = -1000.0  # HU


def rerender(x: Tensor, generator: torch.Generator) -> Tensor:
    """float32 [N, H, W] in 0…255 to the same; images without a flat background stay as they are."""
    level, is_flat = flat_background(x)
    if bool(is_flat.any()):
        x[is_flat] = _rerendered(x[is_flat], level[is_flat], generator)
    return x


def flat_background(x: Tensor) -> tuple[Tensor, Tensor]:
    """(commonest grey level [N], whether it covers much of the image [N])."""
    levels = (
        x.clamp(0, 255).long().flatten(1) + 256 * torch.arange(len(x), device=x.device)[:, None]
    )
    counts = torch.bincount(levels.flatten(), minlength=256 * len(x)).view(len(x), 256)
    level = counts.argmax(1).float()
    share = ((x - level[:, None, None]).abs() <= 3).float().mean((1, 2))
    return level, share > FLAT_SHARE


def _rerendered(x: Tensor, level: Tensor, generator: torch.Generator) -> Tensor:
    water = level[:, None, None]
    air, lung, flat = _regions(x, water, generator)
    tissue = (
        (x - water).clamp(min=0)
        / (255 - water).clamp(min=30)
        * _draw(x, generator, 60, 600, logarithmic=True)
    )
    fat_hu, lung_hu = _draw(x, generator, -140, -40), _draw(x, generator, -920, -500)
    vessels = _blots(x, generator) * _draw(x, generator, 0, 350)
    filled = torch.where(air, AIR, torch.where(lung, lung_hu + vessels, fat_hu))
    hounsfield = torch.where(flat, filled, tissue) + _noise(x, generator) * (~air) * _draw(
        x, generator, 0, 40
    )
    shown = _windowed(hounsfield, generator)
    other = _draw(
        x, generator, 0, 255
    )  # air of another grey: inverted, padded or letterboxed exports
    shown = torch.where(air & (_draw(x, generator, 0, 1) < 0.3), other, shown)
    arbitrary = _arbitrary_levels(x, air, lung, flat, generator)
    return torch.where((_draw(x, generator, 0, 1) < 0.3) | (water < BLACK), arbitrary, shown)


def _arbitrary_levels(
    x: Tensor, air: Tensor, lung: Tensor, flat: Tensor, generator: torch.Generator
) -> Tensor:
    """The image as it was, but for any grey for each of air, lung and fat, often the same for two of them."""
    a, f, d = (_draw(x, generator, 0, 255) for _ in range(3))
    merged = _draw(x, generator, 0, 1)
    f = torch.where(merged < 0.4, a, f)
    d = torch.where(merged > 0.6, f, d)
    return torch.where(flat, torch.where(air, a, torch.where(lung, d, f)), x)


def _windowed(hounsfield: Tensor, generator: torch.Generator) -> Tensor:
    """0…255 by a soft-tissue, lung or bone window, each varied."""
    kind = _draw(hounsfield, generator, 0, 1)
    soft = kind < 0.5
    lung = (kind >= 0.5) & (kind < 0.85)
    width = _draw(hounsfield, generator, 0.6, 1.6) * torch.where(
        soft, 350.0, torch.where(lung, 1400.0, 1800.0)
    )
    centre = (
        torch.where(soft, 40.0, torch.where(lung, -550.0, 300.0))
        + _draw(hounsfield, generator, -0.15, 0.15) * width
    )
    return (((hounsfield - centre) / width + 0.5) * 255).clamp(0, 255)


def _regions(x: Tensor, water: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """(air, lung, all pixels without tissue), bool [N, H, W]."""
    size = x.shape[1]
    flat = x < water + FLAT_TOLERANCE
    solid = (
        _smoothed((x > water + SOLID_CONTRAST).float(), _bell(size, 0.7, x.device)) > 0.22
    )  # no lone specks
    body = (
        _smoothed(_hull(solid), _bell(size, 2.2, x.device)) > 0.5
    )  # closes the slits where the skin line has gaps
    width = 1.0 + 2.0 * _scalar(generator)
    bell = _bell(size, width, x.device)
    rim = _bell(size, 1.5 + 3 * _scalar(generator), x.device)
    deep = (_smoothed((flat & body).float(), bell) > 0.8) & (_smoothed(body.float(), rim) > 0.97)
    lung = flat & body & (_smoothed(deep.float(), bell) > 0.2)
    return flat & ~body, lung, flat


def _hull(solid: Tensor) -> Tensor:
    """1.0 where there is something solid to the left, to the right, above and below."""
    s = solid.float()
    until = torch.ones(s.shape[1:], device=s.device).triu()
    row = ((s @ until) > 0.5) & ((s @ until.T) > 0.5)
    column = ((until.T @ s) > 0.5) & ((until @ s) > 0.5)
    return (row & column).float()


def _smoothed(x: Tensor, bell: Tensor) -> Tensor:
    return bell @ x @ bell.T


def _bell(size: int, sigma: float, device: torch.device) -> Tensor:
    """A Gaussian blur along one axis as a matrix [size, size], rows summing to 1."""
    place = torch.arange(size, dtype=torch.float32, device=device)
    distance = (place[:, None] - place[None]).abs().clamp(max=5 * sigma)
    kernel = torch.exp(-distance.square() / (2 * sigma**2))
    return kernel / kernel.sum(1, keepdim=True)


def _blots(x: Tensor, generator: torch.Generator) -> Tensor:
    """Sparse bright spots of two pixels or so, about 1 at most places where there is one."""
    dots = (
        (torch.rand(x.shape, generator=generator, device=generator.device) < 0.12)
        .float()
        .to(x.device)
    )
    return (_smoothed(dots, _bell(x.shape[1], 0.7, x.device)) * 4).clamp(max=1.5)


def _noise(x: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(x.shape, generator=generator, device=generator.device).to(x.device)


def _scalar(generator: torch.Generator) -> float:
    return float(torch.rand(1, generator=generator, device=generator.device).item())


def _draw(
    x: Tensor, generator: torch.Generator, low: float, high: float, *, logarithmic: bool = False
) -> Tensor:
    """One number an image, [N, 1, 1]."""
    u = torch.rand((len(x), 1, 1), generator=generator, device=generator.device).to(x.device)
    return low * torch.exp(u * math.log(high / low)) if logarithmic else low + u * (high - low)
