"""Random views of a batch: they keep what an image shows and break how the data set shows it.

Every change takes and gives float32 [N, 64, 64] in 0…255, on the processor, and draws from the
generator it is handed. Most act on a random part of the batch, so that a batch costs little and
some images stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from medloop.core.learn.draws import per_image, uniform
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
    """Change uint8 [N, 64, 64], each step on its own random share of the images."""
    x = images.to(torch.float32)
    for step in STEPS if steps is None else steps:
        chosen = uniform(len(x), generator) < step.share
        if bool(chosen.any()):
            x[chosen] = step.change(x[chosen], generator)
    return x.round_().clamp_(0, 255).to(torch.uint8)


def _through(table: Tensor, x: Tensor) -> Tensor:
    """Look each pixel up in its image's table [N, 256]."""
    return table.gather(1, x.clamp(0, 255).long().flatten(1)).view_as(x)


def _interpolated(knots: Tensor) -> Tensor:
    """Make tables [N, 256] of knots [N, K]."""
    return F.interpolate(knots[:, None], size=256, mode="linear", align_corners=True)[:, 0]


def curve(x: Tensor, generator: torch.Generator) -> Tensor:
    """Apply a random monotone curve between random black and white points: another exposure."""
    n = len(x)
    steps = uniform((n, 8), generator).pow(3) + 0.02
    knots = F.pad(steps.cumsum(1), (1, 0))
    table = _interpolated(knots / knots[:, -1:])
    low, span = uniform((n, 1), generator, -0.25, 0.4), uniform((n, 1), generator, 0.35, 1.1)
    return _through(((low + span * table) * 255).clamp(0, 255), x)


def rewindow(x: Tensor, generator: torch.Generator) -> Tensor:
    """Cut the grey range to a random part of the levels that the image uses."""
    low, high = x.amin((1, 2), keepdim=True), x.amax((1, 2), keepdim=True)
    cut = uniform((2, len(x), 1, 1), generator)
    bottom, top = low + (high - low) * cut[0] * 0.5, high - (high - low) * cut[1] * 0.6
    return ((x - bottom) * (255 / (top - bottom).clamp(min=8.0))).clamp(0, 255)


def invert(x: Tensor, generator: torch.Generator) -> Tensor:
    """Turn into the negative, as MONOCHROME1 shown as MONOCHROME2."""
    return 255 - x


def random_convolutions(x: Tensor, generator: torch.Generator) -> Tensor:
    """Mix with a random shallow net's output per image (Ouyang et al. 2022, intensity alone).

    Two random separable kernels of three taps, a leaky ReLU, then two random mixtures of the two
    channels.
    """
    n = len(x)
    y = x / 127.5 - 1
    bias = torch.randn((2, n, 1, 1), generator=generator)
    channels = [_taps(x, generator) @ y @ _taps(x, generator) + b for b in bias]
    for n_out in (2, 1):
        mix = torch.randn((n_out, 3, n, 1, 1), generator=generator)
        first, second = (F.leaky_relu(c, 0.01) for c in channels)
        channels = [first * m[0] + second * m[1] + m[2] for m in mix]
    (y,) = channels
    gain = _deviation(x) / (_deviation(y) + 1e-3)
    y = (y - y.mean((1, 2), keepdim=True)) * gain + x.mean((1, 2), keepdim=True)
    return torch.lerp(x, y, per_image(x, generator)).clamp_(0, 255)


def _deviation(x: Tensor) -> Tensor:
    mean = x.mean((1, 2), keepdim=True)
    return (x.square().mean((1, 2), keepdim=True) - mean.square()).clamp(min=0).sqrt()


def _taps(x: Tensor, generator: torch.Generator) -> Tensor:
    """Draw matrices [N, H, H] that convolve along one axis with three random taps."""
    size = x.shape[1]
    matrix = torch.zeros((len(x), size, size))
    taps = torch.randn((3, len(x), 1), generator=generator)
    for offset, tap in zip((-1, 0, 1), taps, strict=True):
        matrix.diagonal(offset, 1, 2).add_(tap)
    return matrix


def remap(x: Tensor, generator: torch.Generator) -> Tensor:
    """Apply a random smooth curve, monotone or not: another contrast agent or sequence."""
    return _through(_interpolated(uniform((len(x), 6), generator) * 255), x)


def move(x: Tensor, generator: torch.Generator) -> Tensor:
    """Turn, scale, squeeze, shear and shift, some by one of the eight flips and quarter turns."""
    n = len(x)
    angle = uniform(n, generator, -1, 1) * math.radians(25)
    quarter = (uniform(n, generator) * 4).floor() * (uniform(n, generator) < 0.4)
    angle = angle + quarter * (math.pi / 2)
    scale = torch.exp(uniform(n, generator, -0.45, 0.35))
    aspect = torch.exp(uniform(n, generator, -0.35, 0.35))
    mirror = torch.where(uniform(n, generator) < 0.5, -1.0, 1.0)
    shear = uniform(n, generator, -0.15, 0.15)
    right, down = uniform(n, generator, -0.2, 0.2), uniform(n, generator, -0.2, 0.2)
    cos, sin = angle.cos(), angle.sin()
    rows = [
        torch.stack([cos * scale * aspect * mirror, -sin * scale + shear, right], 1),
        torch.stack([sin * scale * aspect * mirror, cos * scale, down], 1),
    ]
    grid = F.affine_grid(torch.stack(rows, 1), [n, 1, *x.shape[1:]], align_corners=False)
    padding = "border" if uniform(1, generator).item() < 0.5 else "zeros"
    return F.grid_sample(
        x.unsqueeze(1), grid, mode="bilinear", padding_mode=padding, align_corners=False
    ).squeeze(1)


def coarsen(x: Tensor, generator: torch.Generator) -> Tensor:
    """Lose resolution: averaged down to 16…48 pixels and back up."""
    size = 16 + int(uniform(1, generator).item() * 33)
    mode = "linear" if uniform(1, generator).item() < 0.7 else "nearest"
    down = F.interpolate(torch.eye(x.shape[1])[None], size=size, mode="area")[0].T
    up = F.interpolate(torch.eye(size)[None], size=x.shape[1], mode=mode)[0].T
    both = up @ down
    return both @ x @ both.T


def blur(x: Tensor, generator: torch.Generator) -> Tensor:
    """Blur by 0.4…2.2 pixels, not always the same in both directions."""
    return _gaussian(x, generator) @ x @ _gaussian(x, generator).transpose(1, 2)


def _gaussian(x: Tensor, generator: torch.Generator) -> Tensor:
    """Draw blur matrices [N, H, H], rows summing to 1."""
    place = torch.arange(x.shape[1], dtype=torch.float32)
    sigma = per_image(x, generator, 0.4, 2.2)
    distance = (place[:, None] - place).abs().clamp(max=9)  # beyond lie slow denormal numbers
    kernel = torch.exp(-distance.square() / (2 * sigma.square()))
    return kernel / kernel.sum(2, keepdim=True)


def add_noise(x: Tensor, generator: torch.Generator) -> Tensor:
    """Add up to 45 levels of noise, even, or growing with the signal or its root."""
    noise = torch.randn(x.shape, generator=generator)
    amount = per_image(x, generator).square() * 45
    power = (per_image(x, generator) * 3).floor() / 2
    return (x + noise * amount * (x / 128).pow(power) * (1 + power)).clamp(0, 255)


def salt_and_pepper(x: Tensor, generator: torch.Generator) -> Tensor:
    """Make up to 8 % of the pixels black or white."""
    draw, share = uniform(tuple(x.shape), generator), per_image(x, generator, 0, 0.04)
    return torch.where(draw < share, 0.0, torch.where(draw > 1 - share, 255.0, x))


def compress(x: Tensor, generator: torch.Generator) -> Tensor:
    """Lose what JPEG does: 8×8 cosine blocks, by the standard's luminance table at quality 5…60."""
    basis = _cosine_basis()
    n, h, w = x.shape
    blocks = (x - 128).view(n, h // 8, 8, w // 8, 8).permute(0, 1, 3, 2, 4)
    quality = 5 + 55 * uniform((n, 1, 1, 1, 1), generator)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
    table = (JPEG_LUMINANCE * scale).clamp(min=1)
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
    """Put a box of a random level over up to a quarter of the image."""
    n, size = len(x), x.shape[1]
    centre, half = (
        uniform((2, n, 1), generator, 0, size),
        uniform((2, n, 1), generator, 2, size / 4),
    )
    rows, columns = (torch.arange(size, dtype=torch.float32) - centre).abs() < half
    box = rows[:, :, None] & columns[:, None, :]
    return torch.where(box, per_image(x, generator, 0, 255), x)


def frame(x: Tensor, generator: torch.Generator) -> Tensor:
    """Put borders of a random level on each side, as letterboxing and collimators leave."""
    n, size = len(x), x.shape[1]
    edges = uniform((4, n, 1), generator).square() * (size / 4)
    edges = edges * (uniform((4, n, 1), generator) < 0.6)
    place = torch.arange(size, dtype=torch.float32)
    rows = (place < edges[0]) | (place >= size - edges[1])
    columns = (place < edges[2]) | (place >= size - edges[3])
    level = per_image(x, generator, 0, 255) * (per_image(x, generator) < 0.5)
    return torch.where(rows[:, :, None] | columns[:, None, :], level, x)


def interfere(x: Tensor, generator: torch.Generator) -> Tensor:
    """Add a periodic disturbance, or one of rows or columns."""
    n, size = len(x), x.shape[1]
    angle, period = uniform((2, n, 1, 1), generator)
    angle = angle * math.pi
    frequency = 2 * math.pi / torch.exp(math.log(2.5) + period * math.log(6.0))
    place = torch.arange(size, dtype=torch.float32)
    phase = frequency * angle.sin() * place[:, None] + frequency * angle.cos() * place
    bands = torch.randn((n, size, 1), generator=generator).expand(n, size, size)
    wave = torch.where(per_image(x, generator) < 0.6, phase.sin(), bands)
    return (x + wave * per_image(x, generator, 5, 55)).clamp(0, 255)


def draw_over(x: Tensor, generator: torch.Generator) -> Tensor:
    """Burn in text, markers, callipers and scratches of one level, sometimes see-through."""
    bank = overlays()
    one, other = (uniform((2, len(x)), generator) * len(bank)).long()
    mask = torch.maximum(bank[one], bank[other]).float() / 255
    bright = per_image(x, generator) < 0.6
    level = torch.where(bright, 255.0, per_image(x, generator, 0, 255))
    return x + mask * per_image(x, generator, 0.5, 1) * (level - x)


def shade(x: Tensor, generator: torch.Generator) -> Tensor:
    """Light unevenly: multiply a smooth random field in, as vignettes and coils do."""
    field = uniform((len(x), 1, 3, 3), generator, -1, 1)
    smooth = F.interpolate(field, size=x.shape[1:], mode="bicubic", align_corners=True).squeeze(1)
    return (x * torch.exp(0.7 * smooth)).clamp(0, 255)


STEPS: Final = tuple(
    Augmentation(change, share)
    for change, share in (
        *((rerender, 0.55), (rewindow, 0.12), (random_convolutions, 0.12), (remap, 0.05)),
        *((curve, 0.25), (shade, 0.16), (move, 0.65), (coarsen, 0.1), (blur, 0.1)),
        *((occlude, 0.1), (frame, 0.12), (draw_over, 0.12), (interfere, 0.1), (add_noise, 0.15)),
        *((salt_and_pepper, 0.05), (compress, 0.1), (invert, 0.1)),
    )
)
