"""Forty-one ways an image can be worse or other than the data set's, each at five severities.

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
# An image float64 [H, W] in 0…255, the strength of the severity and a generator, to the same shape.
Change = Callable[[np.ndarray, Any, np.random.Generator], np.ndarray]


def corrupt(images: np.ndarray, name: str, severity: int, seed: int = 0) -> np.ndarray:
    """Change uint8 [N, H, W] at a severity of 1…5. The same seed gives the same pixels."""
    if severity not in SEVERITIES:
        raise ValueError(f"severity must be one of {SEVERITIES}, not {severity}")
    change, strengths = CORRUPTIONS[name]
    out = np.empty_like(images)
    for i, image in enumerate(images):
        rng = np.random.default_rng([seed, i, severity])
        changed = change(image.astype(np.float64), strengths[severity - 1], rng)
        out[i] = np.clip(np.rint(changed), 0, 255)
    return out


def _picture(x: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(x), 0, 255).astype(np.uint8))


def _array(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture, dtype=np.float64)


def _sign(rng: np.random.Generator) -> float:
    return float(rng.choice((-1.0, 1.0)))


def _rim(x: np.ndarray) -> np.ndarray:
    return np.concatenate([x[0], x[-1], x[:, 0], x[:, -1]])


def _places(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give row and column of each pixel, from -1 to 1."""
    y, z = np.mgrid[-1 : 1 : x.shape[0] * 1j, -1 : 1 : x.shape[1] * 1j]
    return y, z


def _compress(x: np.ndarray, quality: int, rng: np.random.Generator) -> np.ndarray:
    buffer = io.BytesIO()
    _picture(x).save(buffer, "JPEG", quality=quality)
    return _array(Image.open(buffer))


def _filtered(x: np.ndarray, kernel: ImageFilter.MultibandFilter) -> np.ndarray:
    return _array(_picture(x).filter(kernel))


def _add_impulses(x: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    draw = rng.random(x.shape)
    return np.where(draw < share / 2, 0.0, np.where(draw > 1 - share / 2, 255.0, x))


def _blur_along(x: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    """Average over whole-pixel steps in a random direction, the edge repeated."""
    angle, offsets = rng.uniform(0, np.pi), np.linspace(-length / 2, length / 2, length)
    rows, columns = (np.arange(n) for n in x.shape)
    moved = [
        x[
            np.ix_(
                np.clip(rows - round(float(o * np.sin(angle))), 0, rows[-1]),
                np.clip(columns - round(float(o * np.cos(angle))), 0, columns[-1]),
            )
        ]
        for o in offsets
    ]
    return np.asarray(np.mean(moved, axis=0))


def _through_few_pixels(x: np.ndarray, size: int, enlarge: Image.Resampling) -> np.ndarray:
    small = _picture(x).resize((size, size), Image.Resampling.BOX)
    return _array(small.resize(x.shape[::-1], enlarge))


def _equalise(x: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    levels = np.clip(np.rint(x), 0, 255).astype(np.uint8)
    ranks = np.cumsum(np.bincount(levels.ravel(), minlength=256)) / levels.size * 255
    return np.asarray((1 - share) * x + share * ranks[levels])


def _on_background(x: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Take `other` where pixels are near the commonest level of the image's rim."""
    level = np.bincount(np.clip(np.rint(_rim(x)), 0, 255).astype(int), minlength=256).argmax()
    return np.where(np.abs(x - level) <= 4, other, x)


def _shade(x: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Make sensitivity uneven from one side to the other."""
    (y, z), angle = _places(x), rng.uniform(0, 2 * np.pi)
    return np.asarray(x * np.exp(strength * (y * np.sin(angle) + z * np.cos(angle))))


def _warped(
    x: np.ndarray,
    matrix: tuple[float, float, float, float],
    shift: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """Map affinely about the centre, from output to input; outside takes the rim's median level."""
    a, b, d, e = matrix
    cy, cx = (x.shape[0] - 1) / 2, (x.shape[1] - 1) / 2
    coefficients = (a, b, cx - a * cx - b * cy - shift[0], d, e, cy - d * cx - e * cy - shift[1])
    affine, smooth = Image.Transform.AFFINE, Image.Resampling.BILINEAR
    level = int(np.median(_rim(x)))
    size = x.shape[::-1]
    return _array(_picture(x).transform(size, affine, coefficients, smooth, fillcolor=level))


def _rotated(x: np.ndarray, degrees: float) -> np.ndarray:
    c, n = float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))
    return _warped(x, (c, -n, n, c))


def _shift(x: np.ndarray, distance: float, rng: np.random.Generator) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    by = distance * float(np.cos(angle)), distance * float(np.sin(angle))
    return _warped(x, (1, 0, 0, 1), by)


def _bend(x: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Move each pixel by a smooth random field, bilinearly, the edge repeated."""
    coarse = rng.normal(0, strength, (2, 6, 6)).astype(np.float32)
    size, smooth = x.shape[::-1], Image.Resampling.BICUBIC
    dy, dx = (np.asarray(Image.fromarray(c).resize(size, smooth)) for c in coarse)
    rows, columns = np.mgrid[: x.shape[0], : x.shape[1]]
    rows = np.clip(rows + dy, 0, x.shape[0] - 1.001)
    columns = np.clip(columns + dx, 0, x.shape[1] - 1.001)
    r, c = rows.astype(int), columns.astype(int)
    fr, fc = rows - r, columns - c
    top = x[r, c] * (1 - fc) + x[r, c + 1] * fc
    return np.asarray(top * (1 - fr) + (x[r + 1, c] * (1 - fc) + x[r + 1, c + 1] * fc) * fr)


def _letterbox(x: np.ndarray, width: int, rng: np.random.Generator) -> np.ndarray:
    """Shrink in one direction between bars."""
    upright = rng.random() < 0.5
    out, source = np.full(x.shape, rng.choice((0.0, 255.0, 128.0))), x if upright else x.T
    size = x.shape[1], x.shape[0] - 2 * width
    out[width:-width] = _array(_picture(source).resize(size, Image.Resampling.BILINEAR))
    return out if upright else out.T


def _frame(x: np.ndarray, width: int, rng: np.random.Generator) -> np.ndarray:
    out, level = x.copy(), rng.choice((0.0, 255.0, rng.uniform(0, 255)))
    out[:width], out[-width:], out[:, :width], out[:, -width:] = level, level, level, level
    return out


def _write(x: np.ndarray, strength: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Burn in lines of letters and digits."""
    picture, (size, n_lines) = _picture(x), strength
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=float(size))
    for _ in range(n_lines):
        letters = rng.choice(list("ABCDEFGHLMPRSTX0123456789 :/"), int(rng.integers(4, 14)))
        place = float(rng.uniform(0, 40)), float(rng.uniform(0, 56))
        draw.text(place, "".join(letters), fill=int(rng.choice((0, 255))), font=font)
    return _array(picture)


def _mark(x: np.ndarray, strength: tuple[int, int, bool], rng: np.random.Generator) -> np.ndarray:
    """Put side letters and a ruler near the rim."""
    picture, (size, n_letters, ruler) = _picture(x), strength
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=float(size))
    for _ in range(n_letters):
        place = (int(rng.choice((1, x.shape[1] - size))), int(rng.integers(0, x.shape[0] - size)))
        letter = str(rng.choice(("L", "R", "A", "P", "*")))
        draw.text(place, letter, fill=int(rng.choice((255, 230))), font=font)
    for y in range(8, 56, 6) if ruler else ():
        draw.line([58, y, 62, y], fill=255)
    return _array(picture)


def _occlude(x: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    out, (top, left) = x.copy(), rng.integers(0, x.shape[0] - size, 2)
    out[top : top + size, left : left + size] = rng.choice((0.0, 255.0, rng.uniform(0, 255)))
    return out


def _scratch(x: np.ndarray, n_lines: int, rng: np.random.Generator) -> np.ndarray:
    picture = _picture(x)
    draw = ImageDraw.Draw(picture)
    for _ in range(n_lines):
        ends = [float(v) for v in rng.uniform(0, 64, 4)]
        draw.line(ends, fill=int(rng.choice((0, 255))), width=1)
    return _array(picture)


def _disturb(x: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Add a wave of random direction and period."""
    y, z = np.mgrid[: x.shape[0], : x.shape[1]]
    angle, period = rng.uniform(0, np.pi), rng.uniform(3, 10)
    wave = np.sin(2 * np.pi * (y * np.sin(angle) + z * np.cos(angle)) / period)
    return np.asarray(x + strength * wave)


SHARES: Final = (0.2, 0.4, 0.6, 0.8, 1.0)
TILTS: Final = (0, 3, 6, 9, 12)  # degrees, at most
CORRUPTIONS: Final[dict[str, tuple[Change, tuple[Any, ...]]]] = {
    "jpeg": (_compress, (40, 25, 15, 10, 6)),
    "gaussian_noise": (lambda x, v, rng: x + rng.normal(0, v, x.shape), (5, 10, 18, 28, 40)),
    "speckle_noise": (  # in proportion to the signal
        lambda x, v, rng: x * (1 + rng.normal(0, v, x.shape)),
        (0.1, 0.18, 0.28, 0.4, 0.55),
    ),
    "poisson_noise": (  # few photons
        lambda x, v, rng: rng.poisson(x / 255 * v) * (255 / v),
        (60, 30, 16, 9, 5),
    ),
    "impulse_noise": (_add_impulses, (0.01, 0.02, 0.04, 0.07, 0.11)),
    "gaussian_blur": (
        lambda x, v, rng: _filtered(x, ImageFilter.GaussianBlur(v)),
        (0.6, 1.0, 1.5, 2.0, 2.6),
    ),
    "box_blur": (lambda x, v, rng: _filtered(x, ImageFilter.BoxBlur(v)), (0.7, 1.2, 1.8, 2.4, 3.0)),
    "motion_blur": (_blur_along, (2, 3, 5, 7, 9)),
    "low_resolution": (
        lambda x, v, rng: _through_few_pixels(x, v, Image.Resampling.BICUBIC),
        (40, 32, 24, 19, 15),
    ),
    "pixelate": (
        lambda x, v, rng: _through_few_pixels(x, v, Image.Resampling.NEAREST),
        (44, 36, 28, 22, 17),
    ),
    "brighter": (lambda x, v, rng: x + v, (20, 40, 60, 85, 110)),
    "darker": (lambda x, v, rng: x * v, (0.8, 0.6, 0.45, 0.32, 0.22)),
    "low_contrast": (lambda x, v, rng: 128 + (x - 128) * v, (0.75, 0.55, 0.4, 0.28, 0.18)),
    "high_contrast": (
        lambda x, v, rng: np.asarray(x.mean() + (x - x.mean()) * v),
        (1.3, 1.6, 2.0, 2.6, 3.4),
    ),
    "gamma_up": (lambda x, v, rng: 255 * (x / 255) ** v, (0.8, 0.65, 0.5, 0.4, 0.3)),
    "gamma_down": (lambda x, v, rng: 255 * (x / 255) ** v, (1.25, 1.6, 2.0, 2.6, 3.3)),
    "invert": (lambda x, v, rng: (255 - x) * v, (1.0, 0.92, 0.84, 0.76, 0.68)),
    "equalise": (_equalise, SHARES),
    "posterise": (  # the last grey level, from 0
        lambda x, v, rng: np.rint(x / 255 * v) * (255 / v),
        (23, 13, 8, 5, 3),
    ),
    "background_black": (lambda x, v, rng: _on_background(x, x * (1 - v)), SHARES),
    "background_white": (lambda x, v, rng: _on_background(x, x + (255 - x) * v), SHARES),
    "background_noise": (  # grainy, and of another level
        lambda x, v, rng: _on_background(x, rng.uniform(0, 120) + rng.normal(0, v, x.shape)),
        (4, 8, 14, 22, 32),
    ),
    "vignette": (
        lambda x, v, rng: x * np.exp(-v * (_places(x)[0] ** 2 + _places(x)[1] ** 2)),
        (0.2, 0.4, 0.65, 0.95, 1.3),
    ),
    "bias_field": (_shade, (0.2, 0.4, 0.6, 0.8, 1.1)),
    "rotate": (lambda x, v, rng: _rotated(x, _sign(rng) * v), (5, 10, 16, 23, 30)),
    "quarter_turn": (
        lambda x, v, rng: _rotated(x, _sign(rng) * 90 + rng.uniform(-1, 1) * v),
        TILTS,
    ),
    "shift": (_shift, (3, 6, 9, 12, 16)),
    "zoom_in": (lambda x, v, rng: _warped(x, (1 / v, 0, 0, 1 / v)), (1.1, 1.2, 1.32, 1.45, 1.6)),
    "zoom_out": (lambda x, v, rng: _warped(x, (v, 0, 0, v)), (1.1, 1.22, 1.36, 1.52, 1.7)),
    "aspect": (  # squeezed in one direction
        lambda x, v, rng: _warped(x, (v, 0, 0, 1) if rng.random() < 0.5 else (1, 0, 0, v)),
        (1.1, 1.2, 1.32, 1.46, 1.62),
    ),
    "shear": (
        lambda x, v, rng: _warped(x, (1, _sign(rng) * v, 0, 1)),
        (0.08, 0.16, 0.25, 0.35, 0.46),
    ),
    "mirror": (lambda x, v, rng: _rotated(x[:, ::-1], rng.uniform(-1, 1) * v), TILTS),
    "upside_down": (lambda x, v, rng: _rotated(x[::-1], rng.uniform(-1, 1) * v), TILTS),
    "elastic": (_bend, (1.0, 1.8, 2.6, 3.5, 4.5)),
    "letterbox": (_letterbox, (3, 6, 9, 12, 15)),
    "border": (_frame, (1, 3, 5, 7, 10)),
    "text": (_write, ((7, 1), (8, 2), (9, 3), (10, 4), (12, 5))),  # size, lines
    "marker": (  # size, letters, with a ruler
        _mark,
        ((8, 1, False), (11, 1, False), (14, 2, True), (18, 2, True), (22, 3, True)),
    ),
    "occlusion": (_occlude, (8, 13, 18, 23, 28)),
    "lines": (_scratch, (1, 3, 5, 8, 12)),
    "stripes": (_disturb, (8, 15, 24, 35, 48)),
}
