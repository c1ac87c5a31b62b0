"""Random views of a batch that keep what the image shows and break how the data set happens to show it.

Every function takes and gives float32 [N, 64, 64] in 0…255 and draws from the generator it is handed. Most act on a
random part of the batch, so that a batch costs little and some images stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from medloop.core.learn.hounsfield import rerender
from medloop.core.learn.overlays import overlays

Change = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True, slots=True)
class Augmentation:
    """One kind of change and the share of a batch that gets it."""

    change: Change
    share: float


def augment(
    images: Tensor, generator: torch.Generator, steps: tuple[Augmentation, ...] | None = None
) -> Tensor:
    """uint8 [N, 64, 64] to uint8 [N, 64, 64], each step on its own random share of the images."""
    x = images.to(torch.float32)
    for step in STEPS if steps is None else steps:
        chosen = _uniform(len(x), generator).to(x.device) < step.share
        if bool(chosen.any()):
            x[chosen] = step.change(x[chosen], generator)
    return x.round_().clamp_(0, 255).to(torch.uint8)


def _uniform(
    n: int | tuple[int, ...], generator: torch.Generator, low: float = 0.0, high: float = 1.0
) -> Tensor:
    shape = (n,) if isinstance(n, int) else n
    return torch.rand(shape, generator=generator, device=generator.device) * (high - low) + low


def _each(values: Tensor) -> Tensor:
    return values[:, None, None]


def curve(x: Tensor, generator: torch.Generator) -> Tensor:
    """A random monotone curve from a random black point to a random white point: another window or exposure."""
    n = len(x)
    steps = _uniform((n, 8), generator).pow(3) + 0.02
    knots = F.pad(steps.cumsum(1), (1, 0))
    knots = knots / knots[:, -1:]
    table = F.interpolate(knots[:, None], size=256, mode="linear", align_corners=True)[:, 0]
    low, span = _uniform((n, 1), generator, -0.25, 0.4), _uniform((n, 1), generator, 0.35, 1.1)
    table = ((low + span * table) * 255).clamp(0, 255).to(x.device)
    return table.gather(1, x.clamp(0, 255).long().flatten(1)).view_as(x)


def rewindow(x: Tensor, generator: torch.Generator) -> Tensor:
    """Cut the grey range to a random part of the levels that the image uses."""
    low, high = x.amin((1, 2)), x.amax((1, 2))
    a, b = _uniform((2, len(x)), generator).to(x.device)
    bottom, top = low + (high - low) * a * 0.5, high - (high - low) * b * 0.6
    return ((x - _each(bottom)) * (255 / _each((top - bottom).clamp(min=8.0)))).clamp(0, 255)


def invert(x: Tensor, generator: torch.Generator) -> Tensor:
    """Negative, as MONOCHROME1 shown as MONOCHROME2."""
    return 255 - x


def random_convolutions(x: Tensor, generator: torch.Generator) -> Tensor:
    """Global intensity non-linear augmentation (Ouyang et al. 2022): a random shallow net an image, mixed with it.

    Two random separable kernels of three taps, a leaky ReLU, then two random mixtures of the two channels.
    """
    n = len(x)
    y = x / 127.5 - 1
    bias = torch.randn((2, n), generator=generator, device=generator.device).to(x.device)
    channels = [_taps(x, generator) @ y @ _taps(x, generator) + _each(b) for b in bias]
    for n_out in (2, 1):
        mix = torch.randn((n_out, 3, n), generator=generator, device=generator.device).to(x.device)
        channels = [F.leaky_relu(c, 0.01) for c in channels]
        channels = [
            channels[0] * _each(m[0]) + channels[1] * _each(m[1]) + _each(m[2]) for m in mix
        ]
    y = channels[0]
    y = (y - y.mean((1, 2), keepdim=True)) * (_deviation(x) / (_deviation(y) + 1e-3)) + x.mean(
        (1, 2), keepdim=True
    )
    share = _each(_uniform(n, generator).to(x.device))
    return torch.lerp(x, y, share).clamp_(0, 255)


def _deviation(x: Tensor) -> Tensor:
    return (
        (x.square().mean((1, 2), keepdim=True) - x.mean((1, 2), keepdim=True).square())
        .clamp(min=0)
        .sqrt()
    )


def _taps(x: Tensor, generator: torch.Generator) -> Tensor:
    """Matrices [N, H, H] that convolve along one axis with three random taps."""
    size = x.shape[1]
    taps = torch.randn((3, len(x), 1), generator=generator, device=generator.device).to(x.device)
    matrix = torch.zeros((len(x), size, size), device=x.device)
    for offset, tap in zip((-1, 0, 1), taps, strict=True):
        matrix.diagonal(offset, 1, 2).add_(tap)
    return matrix


def remap(x: Tensor, generator: torch.Generator) -> Tensor:
    """A random smooth curve that need not be monotone: another contrast agent, sequence or colour map."""
    knots = _uniform((len(x), 1, 6), generator) * 255
    table = F.interpolate(knots, size=256, mode="linear", align_corners=True)[:, 0].to(x.device)
    return table.gather(1, x.clamp(0, 255).long().flatten(1)).view_as(x)


def move(x: Tensor, generator: torch.Generator) -> Tensor:
    """Affine: any of the eight flips and quarter turns now and then, rotation, scale, aspect, shear, shift."""
    n = len(x)
    angle = _uniform(n, generator, -1, 1) * math.radians(25)
    quarter = (_uniform(n, generator) * 4).floor() * (_uniform(n, generator) < 0.4)
    angle = angle + quarter * (math.pi / 2)
    scale = torch.exp(_uniform(n, generator, -0.45, 0.35))
    aspect = torch.exp(_uniform(n, generator, -0.35, 0.35))
    mirror = torch.where(_uniform(n, generator) < 0.5, -1.0, 1.0)
    shear = _uniform(n, generator, -0.15, 0.15)
    cos, sin = angle.cos(), angle.sin()
    rows = [
        torch.stack(
            [
                cos * scale * aspect * mirror,
                -sin * scale + shear,
                _uniform(n, generator, -0.2, 0.2),
            ],
            1,
        ),
        torch.stack(
            [sin * scale * aspect * mirror, cos * scale, _uniform(n, generator, -0.2, 0.2)], 1
        ),
    ]
    grid = F.affine_grid(
        torch.stack(rows, 1).to(x.device), [n, 1, x.shape[1], x.shape[2]], align_corners=False
    )
    padding = "border" if _uniform(1, generator).item() < 0.5 else "zeros"
    return F.grid_sample(
        x.unsqueeze(1), grid, mode="bilinear", padding_mode=padding, align_corners=False
    ).squeeze(1)


def coarsen(x: Tensor, generator: torch.Generator) -> Tensor:
    """Lose resolution: averaged down to 16…48 pixels and back up."""
    size = 16 + int(_uniform(1, generator).item() * 33)
    one = torch.eye(x.shape[1], device=x.device).unsqueeze(0)
    mode = "linear" if _uniform(1, generator).item() < 0.7 else "nearest"
    down = F.interpolate(one, size=size, mode="area").squeeze(0).T
    up = (
        F.interpolate(torch.eye(size, device=x.device).unsqueeze(0), size=x.shape[1], mode=mode)
        .squeeze(0)
        .T
    )
    both = up @ down
    return both @ x @ both.T


def blur(x: Tensor, generator: torch.Generator) -> Tensor:
    """Gaussian blur of 0.4…2.2 pixels, not always the same in both directions."""
    return _gaussian(x, generator) @ x @ _gaussian(x, generator).transpose(1, 2)


def _gaussian(x: Tensor, generator: torch.Generator) -> Tensor:
    """Blur matrices [N, H, H], rows summing to 1."""
    place = torch.arange(x.shape[1], dtype=torch.float32, device=x.device)
    sigma = _each(_uniform(len(x), generator, 0.4, 2.2).to(x.device))
    distance = (
        (place[:, None] - place[None]).abs().clamp(max=9)
    )  # further out come denormal numbers, which are slow
    kernel = torch.exp(-distance.square() / (2 * sigma.square()))
    return kernel / kernel.sum(2, keepdim=True)


def add_noise(x: Tensor, generator: torch.Generator) -> Tensor:
    """Gaussian noise, up to 45 levels everywhere, or growing with the signal's root, or with the signal."""
    noise = torch.randn(x.shape, generator=generator, device=generator.device).to(x.device)
    amount = _uniform(len(x), generator).square().to(x.device) * 45
    power = (_uniform(len(x), generator) * 3).floor().to(x.device) / 2
    return (x + noise * _each(amount) * (x / 128).pow(_each(power)) * _each(1 + power)).clamp(
        0, 255
    )


def salt_and_pepper(x: Tensor, generator: torch.Generator) -> Tensor:
    """Up to 8 % of pixels black or white."""
    draw = _uniform(tuple(x.shape), generator).to(x.device)
    share = _each(_uniform(len(x), generator, 0, 0.04).to(x.device))
    return torch.where(draw < share, 0.0, torch.where(draw > 1 - share, 255.0, x))


def compress(x: Tensor, generator: torch.Generator) -> Tensor:
    """JPEG's loss: 8×8 cosine blocks, quantised with the standard's luminance table at quality 5…60."""
    basis = _cosine_basis().to(x.device)
    n, h, w = x.shape
    blocks = (x - 128).view(n, h // 8, 8, w // 8, 8).permute(0, 1, 3, 2, 4)
    quality = 5 + 55 * _uniform(n, generator).to(x.device)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
    table = (JPEG_LUMINANCE.to(x.device) * scale[:, None, None]).clamp(min=1)[:, None, None]
    coefficients = (basis @ blocks @ basis.T / table).round() * table
    restored = (basis.T @ coefficients @ basis).permute(0, 1, 3, 2, 4).reshape(n, h, w)
    return (restored + 128).clamp(0, 255)


def _cosine_basis() -> Tensor:
    k, i = torch.arange(8.0)[:, None], torch.arange(8.0)[None]
    basis = torch.cos((2 * i + 1) * k * math.pi / 16) / 2
    basis[0] /= math.sqrt(2)
    return basis


# ITU-T T.81, table K.1
JPEG_LUMINANCE: Final = torch.tensor(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    dtype=torch.float32,
)


def occlude(x: Tensor, generator: torch.Generator) -> Tensor:
    """A box of a random level over up to a quarter of the image."""
    n, size = len(x), x.shape[1]
    centre, half = _uniform((2, n), generator, 0, size), _uniform((2, n), generator, 2, size / 4)
    positions = torch.arange(size, dtype=torch.float32, device=generator.device)[None]
    rows = (positions - centre[0][:, None]).abs() < half[0][:, None]
    columns = (positions - centre[1][:, None]).abs() < half[1][:, None]
    box = (rows[:, :, None] & columns[:, None, :]).to(x.device)
    return torch.where(box, _each(_uniform(n, generator, 0, 255).to(x.device)), x)


def frame(x: Tensor, generator: torch.Generator) -> Tensor:
    """Borders of a random level on each side, as letterboxing and collimators leave."""
    n, size = len(x), x.shape[1]
    edges = _uniform((4, n), generator).square() * (size / 4)
    edges = edges * (_uniform((4, n), generator) < 0.6)
    positions = torch.arange(size, dtype=torch.float32, device=generator.device)[None]
    rows = (positions < edges[0][:, None]) | (positions >= size - edges[1][:, None])
    columns = (positions < edges[2][:, None]) | (positions >= size - edges[3][:, None])
    border = (rows[:, :, None] | columns[:, None, :]).to(x.device)
    level = _uniform(n, generator, 0, 255) * (_uniform(n, generator) < 0.5)
    return torch.where(border, _each(level.to(x.device)), x)


def interfere(x: Tensor, generator: torch.Generator) -> Tensor:
    """A periodic disturbance, or one of rows or columns, added."""
    n, size = len(x), x.shape[1]
    angle, period = _uniform((2, n), generator)
    angle, frequency = (
        angle * math.pi,
        2 * math.pi / torch.exp(math.log(2.5) + period * math.log(6.0)),
    )
    place = torch.arange(size, dtype=torch.float32, device=generator.device)
    phase = _each(frequency * angle.sin()) * place[:, None] + _each(frequency * angle.cos()) * place
    bands = torch.randn((n, size, 1), generator=generator, device=generator.device).expand(
        n, size, size
    )
    wave = torch.where(_each(_uniform(n, generator) < 0.6), phase.sin(), bands)
    return (x + (wave * _each(_uniform(n, generator, 5, 55))).to(x.device)).clamp(0, 255)


def draw_over(x: Tensor, generator: torch.Generator) -> Tensor:
    """Burnt-in text, side markers, callipers and scratches in one level, now and then see-through."""
    bank = overlays().to(x.device)
    chosen = (_uniform((2, len(x)), generator) * len(bank)).long().to(x.device)
    mask = torch.maximum(bank[chosen[0]], bank[chosen[1]]).float() / 255
    level = torch.where(
        _uniform(len(x), generator) < 0.6, 255.0, _uniform(len(x), generator, 0, 255)
    ).to(x.device)
    return x + mask * _each(_uniform(len(x), generator, 0.5, 1).to(x.device)) * (_each(level) - x)


def shade(x: Tensor, generator: torch.Generator) -> Tensor:
    """Uneven illumination: a smooth random field multiplied in, vignettes and coil shading among its shapes."""
    field = _uniform((len(x), 1, 3, 3), generator, -1, 1).to(x.device)
    smooth = F.interpolate(field, size=x.shape[1:], mode="bicubic", align_corners=True).squeeze(1)
    return (x * torch.exp(0.7 * smooth)).clamp(0, 255)


STEPS: Final = (
    Augmentation(rerender, 0.55),
    Augmentation(rewindow, 0.12),
    Augmentation(random_convolutions, 0.12),
    Augmentation(remap, 0.05),
    Augmentation(curve, 0.25),
    Augmentation(shade, 0.16),
    Augmentation(move, 0.65),
    Augmentation(coarsen, 0.1),
    Augmentation(blur, 0.1),
    Augmentation(occlude, 0.1),
    Augmentation(frame, 0.12),
    Augmentation(draw_over, 0.12),
    Augmentation(interfere, 0.1),
    Augmentation(add_noise, 0.15),
    Augmentation(salt_and_pepper, 0.05),
    Augmentation(compress, 0.1),
    Augmentation(invert, 0.1),
)
