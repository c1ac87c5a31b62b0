"""Forty-one ways in which an image can be worse or other than the data set's, at five severities.

The gate's corruption slice and the benchmark use them. They are written apart from the training
augmentation (`core.learn.augment`), so that a model is judged by other code than it was trained
with. numpy and Pillow only.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SEVERITIES: Final = (1, 2, 3, 4, 5)
Rng = np.random.Generator
# float64 [H, W] in 0…255, one of the five levels, a source of chance, to float64 [H, W]
Change = Callable[[np.ndarray, Any, Rng], np.ndarray]


def corrupt(images: np.ndarray, name: str, severity: int, seed: int = 0) -> np.ndarray:
    """Corrupt uint8 [N, H, W]. `severity` 1…5. The same seed gives the same pixels."""
    if severity not in SEVERITIES:
        raise ValueError(f"severity must be one of {SEVERITIES}, not {severity}")
    levels, change = CORRUPTIONS[name]
    out = np.empty_like(images)
    for i, image in enumerate(images):
        rng = np.random.default_rng([seed, i, severity])
        changed = change(image.astype(np.float64), levels[severity - 1], rng)
        out[i] = np.clip(np.rint(changed), 0, 255)
    return out


def _picture(x: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(x), 0, 255).astype(np.uint8))


def _array(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture, dtype=np.float64)


def _sign(rng: Rng) -> float:
    return float(rng.choice((-1.0, 1.0)))


def _filter(x: np.ndarray, by: ImageFilter.Filter) -> np.ndarray:
    return _array(_picture(x).filter(by))


def _jpeg(x: np.ndarray, quality: int, rng: Rng) -> np.ndarray:
    buffer = io.BytesIO()
    _picture(x).save(buffer, "JPEG", quality=quality)
    return _array(Image.open(buffer))


def _impulse_noise(x: np.ndarray, share: float, rng: Rng) -> np.ndarray:
    draw = rng.random(x.shape)
    return np.where(draw < share / 2, 0.0, np.where(draw > 1 - share / 2, 255.0, x))


def _motion_blur(x: np.ndarray, length: int, rng: Rng) -> np.ndarray:
    """Move along a random direction during exposure, the edge repeated."""
    angle = rng.uniform(0, np.pi)
    offsets = np.linspace(-length / 2, length / 2, length)
    moved = []
    for o in offsets:
        dy, dx = round(float(o * np.sin(angle))), round(float(o * np.cos(angle)))
        rows = np.clip(np.arange(x.shape[0]) - dy, 0, x.shape[0] - 1)
        moved.append(x[np.ix_(rows, np.clip(np.arange(x.shape[1]) - dx, 0, x.shape[1] - 1))])
    return np.asarray(np.mean(moved, axis=0))


def _few_pixels(x: np.ndarray, size: int, back: Image.Resampling) -> np.ndarray:
    """Look through size × size pixels, and enlarge them again."""
    small = _picture(x).resize((size, size), Image.Resampling.BOX)
    return _array(small.resize(x.shape[::-1], back))


def _equalise(x: np.ndarray, share: float, rng: Rng) -> np.ndarray:
    """Mix histogram equalisation in."""
    levels = np.clip(np.rint(x), 0, 255).astype(np.uint8)
    ranks = np.cumsum(np.bincount(levels.ravel(), minlength=256)) / levels.size * 255
    return np.asarray((1 - share) * x + share * ranks[levels])


def _rim(x: np.ndarray) -> np.ndarray:
    return np.concatenate([x[0], x[-1], x[:, 0], x[:, -1]])


def _background(x: np.ndarray) -> np.ndarray:
    """Find pixels near the commonest level of the image's rim."""
    level = np.bincount(np.clip(np.rint(_rim(x)), 0, 255).astype(int), minlength=256).argmax()
    return np.asarray(np.abs(x - level) <= 4)


def _background_noise(x: np.ndarray, grain: float, rng: Rng) -> np.ndarray:
    noise = rng.uniform(0, 120) + rng.normal(0, grain, x.shape)
    return np.where(_background(x), noise, x)


def _grid(x: np.ndarray) -> np.ndarray:
    """Place each pixel between -1 and 1: float64 [2, H, W]."""
    return np.mgrid[-1 : 1 : x.shape[0] * 1j, -1 : 1 : x.shape[1] * 1j]


def _vignette(x: np.ndarray, strength: float, rng: Rng) -> np.ndarray:
    y, z = _grid(x)
    return np.asarray(x * np.exp(-strength * (y**2 + z**2)))


def _bias_field(x: np.ndarray, strength: float, rng: Rng) -> np.ndarray:
    """Make one side more sensitive than the other."""
    y, z = _grid(x)
    angle = rng.uniform(0, 2 * np.pi)
    return np.asarray(x * np.exp(strength * (y * np.sin(angle) + z * np.cos(angle))))


def _warped(
    x: np.ndarray,
    matrix: tuple[float, float, float, float],
    shift: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """Map affinely about the centre, from output to input; outside takes the rim's level."""
    a, b, d, e = matrix
    cy, cx = (x.shape[0] - 1) / 2, (x.shape[1] - 1) / 2
    coefficients = (a, b, cx - a * cx - b * cy - shift[0], d, e, cy - d * cx - e * cy - shift[1])
    affine, bilinear = Image.Transform.AFFINE, Image.Resampling.BILINEAR
    level = int(np.median(_rim(x)))
    size = x.shape[::-1]
    return _array(_picture(x).transform(size, affine, coefficients, bilinear, fillcolor=level))


def _rotated(x: np.ndarray, degrees: float) -> np.ndarray:
    c, n = float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))
    return _warped(x, (c, -n, n, c))


def _shift(x: np.ndarray, distance: float, rng: Rng) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    off = distance * float(np.cos(angle)), distance * float(np.sin(angle))
    return _warped(x, (1, 0, 0, 1), off)


def _elastic(x: np.ndarray, strength: float, rng: Rng) -> np.ndarray:
    """Bend smoothly; sampled bilinearly, the edge repeated."""
    coarse = rng.normal(0, strength, (2, 6, 6)).astype(np.float32)
    bend = [Image.fromarray(c).resize(x.shape[::-1], Image.Resampling.BICUBIC) for c in coarse]
    rows, columns = (
        np.clip(place + np.asarray(by), 0, side - 1.001)
        for place, by, side in zip(np.mgrid[: x.shape[0], : x.shape[1]], bend, x.shape, strict=True)
    )
    r, c = rows.astype(int), columns.astype(int)
    fr, fc = rows - r, columns - c
    top = x[r, c] * (1 - fc) + x[r, c + 1] * fc
    return np.asarray(top * (1 - fr) + (x[r + 1, c] * (1 - fc) + x[r + 1, c + 1] * fc) * fr)


def _letterbox(x: np.ndarray, width: int, rng: Rng) -> np.ndarray:
    """Shrink in one direction, between bars."""
    upright = rng.random() < 0.5
    out, source = np.full(x.shape, rng.choice((0.0, 255.0, 128.0))), x if upright else x.T
    shrunk = x.shape[1], x.shape[0] - 2 * width
    out[width:-width] = _array(_picture(source).resize(shrunk, Image.Resampling.BILINEAR))
    return out if upright else out.T


def _border(x: np.ndarray, width: int, rng: Rng) -> np.ndarray:
    out, level = x.copy(), rng.choice((0.0, 255.0, rng.uniform(0, 255)))
    out[:width], out[-width:], out[:, :width], out[:, -width:] = level, level, level, level
    return out


def _text(x: np.ndarray, level: tuple[int, int], rng: Rng) -> np.ndarray:
    """Burn lines of letters and digits in."""
    count, size = level
    picture = _picture(x)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=float(size))
    for _ in range(count):
        alphabet = list("ABCDEFGHLMPRSTX0123456789 :/")
        letters = "".join(rng.choice(alphabet, int(rng.integers(4, 14))))
        place = float(rng.uniform(0, 40)), float(rng.uniform(0, 56))
        draw.text(place, letters, fill=int(rng.choice((0, 255))), font=font)
    return _array(picture)


def _marker(x: np.ndarray, level: tuple[int, int, bool], rng: Rng) -> np.ndarray:
    """Draw side letters near the rim, and a ruler."""
    size, count, ruler = level
    picture = _picture(x)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=float(size))
    for _ in range(count):
        place = (int(rng.choice((1, x.shape[1] - size))), int(rng.integers(0, x.shape[0] - size)))
        letter = str(rng.choice(("L", "R", "A", "P", "*")))
        draw.text(place, letter, fill=int(rng.choice((255, 230))), font=font)
    for y in range(8, 56, 6) if ruler else ():
        draw.line([58, y, 62, y], fill=255)
    return _array(picture)


def _occlusion(x: np.ndarray, size: int, rng: Rng) -> np.ndarray:
    out = x.copy()
    top, left = rng.integers(0, x.shape[0] - size, 2)
    out[top : top + size, left : left + size] = rng.choice((0.0, 255.0, rng.uniform(0, 255)))
    return out


def _lines(x: np.ndarray, count: int, rng: Rng) -> np.ndarray:
    """Draw scratches and callipers."""
    picture = _picture(x)
    draw = ImageDraw.Draw(picture)
    for _ in range(count):
        ends = [float(v) for v in rng.uniform(0, 64, 4)]
        draw.line(ends, fill=int(rng.choice((0, 255))), width=1)
    return _array(picture)


def _stripes(x: np.ndarray, strength: float, rng: Rng) -> np.ndarray:
    y, z = np.mgrid[: x.shape[0], : x.shape[1]]
    angle, period = rng.uniform(0, np.pi), rng.uniform(3, 10)
    wave = np.sin(2 * np.pi * (y * np.sin(angle) + z * np.cos(angle)) / period)
    return np.asarray(x + strength * wave)


SHARES: Final = (0.2, 0.4, 0.6, 0.8, 1.0)
TILTS: Final = (0, 3, 6, 9, 12)  # degrees
CORRUPTIONS: Final[dict[str, tuple[tuple[Any, ...], Change]]] = {  # five levels each
    "jpeg": ((40, 25, 15, 10, 6), _jpeg),
    "gaussian_noise": ((5, 10, 18, 28, 40), lambda x, k, rng: x + rng.normal(0, k, x.shape)),
    "speckle_noise": (
        (0.1, 0.18, 0.28, 0.4, 0.55),
        lambda x, k, rng: x * (1 + rng.normal(0, k, x.shape)),
    ),
    "poisson_noise": ((60, 30, 16, 9, 5), lambda x, k, rng: rng.poisson(x / 255 * k) * (255 / k)),
    "impulse_noise": ((0.01, 0.02, 0.04, 0.07, 0.11), _impulse_noise),
    "gaussian_blur": (
        (0.6, 1.0, 1.5, 2.0, 2.6),
        lambda x, k, rng: _filter(x, ImageFilter.GaussianBlur(k)),
    ),
    "box_blur": ((0.7, 1.2, 1.8, 2.4, 3.0), lambda x, k, rng: _filter(x, ImageFilter.BoxBlur(k))),
    "motion_blur": ((2, 3, 5, 7, 9), _motion_blur),
    "low_resolution": (
        (40, 32, 24, 19, 15),
        lambda x, k, rng: _few_pixels(x, k, Image.Resampling.BICUBIC),
    ),
    "pixelate": (
        (44, 36, 28, 22, 17),
        lambda x, k, rng: _few_pixels(x, k, Image.Resampling.NEAREST),
    ),
    "brighter": ((20, 40, 60, 85, 110), lambda x, k, rng: x + k),
    "darker": ((0.8, 0.6, 0.45, 0.32, 0.22), lambda x, k, rng: x * k),
    "low_contrast": ((0.75, 0.55, 0.4, 0.28, 0.18), lambda x, k, rng: 128 + (x - 128) * k),
    "high_contrast": ((1.3, 1.6, 2.0, 2.6, 3.4), lambda x, k, rng: x.mean() + (x - x.mean()) * k),
    "gamma_up": ((0.8, 0.65, 0.5, 0.4, 0.3), lambda x, k, rng: 255 * (x / 255) ** k),
    "gamma_down": ((1.25, 1.6, 2.0, 2.6, 3.3), lambda x, k, rng: 255 * (x / 255) ** k),
    "invert": ((1.0, 0.92, 0.84, 0.76, 0.68), lambda x, k, rng: (255 - x) * k),
    "equalise": (SHARES, _equalise),
    "posterise": ((23, 13, 8, 5, 3), lambda x, k, rng: np.rint(x / 255 * k) * (255 / k)),
    "background_black": (SHARES, lambda x, k, rng: np.where(_background(x), x * (1 - k), x)),
    "background_white": (SHARES, lambda x, k, rng: np.where(_background(x), x + (255 - x) * k, x)),
    "background_noise": ((4, 8, 14, 22, 32), _background_noise),
    "vignette": ((0.2, 0.4, 0.65, 0.95, 1.3), _vignette),
    "bias_field": ((0.2, 0.4, 0.6, 0.8, 1.1), _bias_field),
    "rotate": ((5, 10, 16, 23, 30), lambda x, k, rng: _rotated(x, _sign(rng) * k)),
    "quarter_turn": (
        TILTS,
        lambda x, k, rng: _rotated(x, _sign(rng) * 90 + rng.uniform(-1, 1) * k),
    ),
    "shift": ((3, 6, 9, 12, 16), _shift),
    "zoom_in": ((1.1, 1.2, 1.32, 1.45, 1.6), lambda x, k, rng: _warped(x, (1 / k, 0, 0, 1 / k))),
    "zoom_out": ((1.1, 1.22, 1.36, 1.52, 1.7), lambda x, k, rng: _warped(x, (k, 0, 0, k))),
    "aspect": (
        (1.1, 1.2, 1.32, 1.46, 1.62),
        lambda x, k, rng: _warped(x, (k, 0, 0, 1) if rng.random() < 0.5 else (1, 0, 0, k)),
    ),
    "shear": (
        (0.08, 0.16, 0.25, 0.35, 0.46),
        lambda x, k, rng: _warped(x, (1, _sign(rng) * k, 0, 1)),
    ),
    "mirror": (TILTS, lambda x, k, rng: _rotated(x[:, ::-1], rng.uniform(-1, 1) * k)),
    "upside_down": (TILTS, lambda x, k, rng: _rotated(x[::-1], rng.uniform(-1, 1) * k)),
    "elastic": ((1.0, 1.8, 2.6, 3.5, 4.5), _elastic),
    "letterbox": ((3, 6, 9, 12, 15), _letterbox),
    "border": ((1, 3, 5, 7, 10), _border),
    "text": (((1, 7), (2, 8), (3, 9), (4, 10), (5, 12)), _text),
    "marker": (
        ((8, 1, False), (11, 1, False), (14, 2, True), (18, 2, True), (22, 3, True)),
        _marker,
    ),
    "occlusion": ((8, 13, 18, 23, 28), _occlusion),
    "lines": ((1, 3, 5, 8, 12), _lines),
    "stripes": ((8, 15, 24, 35, 48), _stripes),
}
