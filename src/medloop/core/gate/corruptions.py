"""Forty-one ways an image can be worse or other than the data set's, each at five severities.

numpy and Pillow only.

The gate's corruption slice and the benchmark use them. They are written apart from the training
augmentation (`core.learn.augment`), so that a model is judged by other code than it was trained
with.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SEVERITIES: Final = (1, 2, 3, 4, 5)
Corruption = Callable[
    [np.ndarray, int, np.random.Generator], np.ndarray
]  # float64 [H, W] in 0…255, 0…4, to the same


def corrupt(images: np.ndarray, name: str, severity: int, seed: int = 0) -> np.ndarray:
    """uint8 [N, H, W] to uint8 [N, H, W]. `severity` 1…5. The same seed gives the same pixels."""
    if severity not in SEVERITIES:
        raise ValueError(f"severity must be one of {SEVERITIES}, not {severity}")
    change = CORRUPTIONS[name]
    out = np.empty_like(images)
    for i, image in enumerate(images):
        rng = np.random.default_rng([seed, i, severity])
        out[i] = np.clip(np.rint(change(image.astype(np.float64), severity - 1, rng)), 0, 255)
    return out


def _picture(x: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(x), 0, 255).astype(np.uint8))


def _array(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture, dtype=np.float64)


def _sign(rng: np.random.Generator) -> float:
    return float(rng.choice((-1.0, 1.0)))


def jpeg(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Compressed again."""
    buffer = io.BytesIO()
    _picture(x).save(buffer, "JPEG", quality=(40, 25, 15, 10, 6)[s])
    return _array(Image.open(buffer))


def gaussian_noise(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Additive, independent of the signal."""
    return x + rng.normal(0, (5, 10, 18, 28, 40)[s], x.shape)


def speckle_noise(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """In proportion to the signal."""
    return x * (1 + rng.normal(0, (0.1, 0.18, 0.28, 0.4, 0.55)[s], x.shape))


def poisson_noise(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Few photons."""
    photons = (60, 30, 16, 9, 5)[s]
    return rng.poisson(x / 255 * photons) * (255 / photons)


def impulse_noise(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Black and white pixels."""
    draw, share = rng.random(x.shape), (0.01, 0.02, 0.04, 0.07, 0.11)[s]
    return np.where(draw < share / 2, 0.0, np.where(draw > 1 - share / 2, 255.0, x))


def gaussian_blur(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Soft."""
    return _array(_picture(x).filter(ImageFilter.GaussianBlur((0.6, 1.0, 1.5, 2.0, 2.6)[s])))


def box_blur(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Out of focus."""
    return _array(_picture(x).filter(ImageFilter.BoxBlur((0.7, 1.2, 1.8, 2.4, 3.0)[s])))


def motion_blur(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Moved along a random direction during exposure."""
    length, angle = (2, 3, 5, 7, 9)[s], rng.uniform(0, np.pi)
    offsets = np.linspace(-length / 2, length / 2, length)
    shifts = [(round(float(o * np.sin(angle))), round(float(o * np.cos(angle)))) for o in offsets]
    return np.asarray(np.mean([_shifted(x, dy, dx) for dy, dx in shifts], axis=0))


def _shifted(x: np.ndarray, dy: int, dx: int) -> np.ndarray:
    """Moved by whole pixels, the edge repeated."""
    rows = np.clip(np.arange(x.shape[0]) - dy, 0, x.shape[0] - 1)
    columns = np.clip(np.arange(x.shape[1]) - dx, 0, x.shape[1] - 1)
    return x[np.ix_(rows, columns)]


def low_resolution(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Seen through few pixels and enlarged smoothly."""
    size = (40, 32, 24, 19, 15)[s]
    return _array(
        _picture(x)
        .resize((size, size), Image.Resampling.BOX)
        .resize(x.shape[::-1], Image.Resampling.BICUBIC)
    )


def pixelate(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Seen through few pixels and enlarged in squares."""
    size = (44, 36, 28, 22, 17)[s]
    return _array(
        _picture(x)
        .resize((size, size), Image.Resampling.BOX)
        .resize(x.shape[::-1], Image.Resampling.NEAREST)
    )


def brighter(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Levels added."""
    return x + (20, 40, 60, 85, 110)[s]


def darker(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Levels scaled down, as an underexposed picture."""
    return x * (0.8, 0.6, 0.45, 0.32, 0.22)[s]


def low_contrast(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Pulled to the middle."""
    return 128 + (x - 128) * (0.75, 0.55, 0.4, 0.28, 0.18)[s]


def high_contrast(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Pushed from the mean, clipped."""
    return np.asarray(x.mean() + (x - x.mean()) * (1.3, 1.6, 2.0, 2.6, 3.4)[s])


def gamma_up(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Dark levels spread."""
    return np.asarray(255 * (x / 255) ** (0.8, 0.65, 0.5, 0.4, 0.3)[s])


def gamma_down(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Dark levels crushed."""
    return np.asarray(255 * (x / 255) ** (1.25, 1.6, 2.0, 2.6, 3.3)[s])


def invert(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Negative, of falling contrast."""
    return (255 - x) * (1.0, 0.92, 0.84, 0.76, 0.68)[s]


def equalise(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Histogram equalisation, mixed in."""
    levels = np.clip(np.rint(x), 0, 255).astype(np.uint8)
    ranks = np.cumsum(np.bincount(levels.ravel(), minlength=256)) / levels.size * 255
    share = (0.2, 0.4, 0.6, 0.8, 1.0)[s]
    return np.asarray((1 - share) * x + share * ranks[levels])


def posterise(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Few grey levels."""
    steps = (24, 14, 9, 6, 4)[s] - 1
    return np.asarray(np.rint(x / 255 * steps) * (255 / steps))


def _background(x: np.ndarray) -> np.ndarray:
    """Pixels near the commonest level of the image's rim."""
    rim = np.concatenate([x[0], x[-1], x[:, 0], x[:, -1]])
    level = np.bincount(np.clip(np.rint(rim), 0, 255).astype(int), minlength=256).argmax()
    return np.asarray(np.abs(x - level) <= 4)


def background_black(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """The background's level pulled to black."""
    share = (0.2, 0.4, 0.6, 0.8, 1.0)[s]
    return np.where(_background(x), x * (1 - share), x)


def background_white(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """The background's level pulled to white."""
    share = (0.2, 0.4, 0.6, 0.8, 1.0)[s]
    return np.where(_background(x), x + (255 - x) * share, x)


def background_noise(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """A grainy background of another level."""
    grain = rng.uniform(0, 120) + rng.normal(0, (4, 8, 14, 22, 32)[s], x.shape)
    return np.where(_background(x), grain, x)


def vignette(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Dark corners."""
    y, z = np.mgrid[-1 : 1 : x.shape[0] * 1j, -1 : 1 : x.shape[1] * 1j]
    return np.asarray(x * np.exp(-(0.2, 0.4, 0.65, 0.95, 1.3)[s] * (y**2 + z**2)))


def bias_field(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Uneven sensitivity from one side to the other."""
    y, z = np.mgrid[-1 : 1 : x.shape[0] * 1j, -1 : 1 : x.shape[1] * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    return np.asarray(
        x * np.exp((0.2, 0.4, 0.6, 0.8, 1.1)[s] * (y * np.sin(angle) + z * np.cos(angle)))
    )


def _warped(
    x: np.ndarray,
    matrix: tuple[float, float, float, float],
    shift: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """Affine about the centre, from output to input; outside takes the rim's commonest level."""
    a, b, d, e = matrix
    cy, cx = (x.shape[0] - 1) / 2, (x.shape[1] - 1) / 2
    coefficients = (a, b, cx - a * cx - b * cy - shift[0], d, e, cy - d * cx - e * cy - shift[1])
    level = int(np.median(np.concatenate([x[0], x[-1], x[:, 0], x[:, -1]])))
    size = x.shape[::-1]
    moved = _picture(x).transform(
        size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR, fillcolor=level
    )
    return _array(moved)


def _rotated(x: np.ndarray, degrees: float) -> np.ndarray:
    c, n = float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))
    return _warped(x, (c, -n, n, c))


def rotate(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Tilted."""
    return _rotated(x, _sign(rng) * (5, 10, 16, 23, 30)[s])


def quarter_turn(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """On its side, and a little more."""
    return _rotated(x, _sign(rng) * 90 + rng.uniform(-1, 1) * (0, 3, 6, 9, 12)[s])


def shift(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Off centre."""
    distance, angle = (3, 6, 9, 12, 16)[s], rng.uniform(0, 2 * np.pi)
    return _warped(
        x, (1, 0, 0, 1), (distance * float(np.cos(angle)), distance * float(np.sin(angle)))
    )


def zoom_in(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Framed tightly."""
    factor = 1 / (1.1, 1.2, 1.32, 1.45, 1.6)[s]
    return _warped(x, (factor, 0, 0, factor))


def zoom_out(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Small in the frame."""
    factor = (1.1, 1.22, 1.36, 1.52, 1.7)[s]
    return _warped(x, (factor, 0, 0, factor))


def aspect(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Squeezed in one direction."""
    factor = (1.1, 1.2, 1.32, 1.46, 1.62)[s]
    return _warped(x, (factor, 0, 0, 1) if rng.random() < 0.5 else (1, 0, 0, factor))


def shear(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Slanted."""
    return _warped(x, (1, _sign(rng) * (0.08, 0.16, 0.25, 0.35, 0.46)[s], 0, 1))


def mirror(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Left for right, and a little tilted."""
    return _rotated(x[:, ::-1], rng.uniform(-1, 1) * (0, 3, 6, 9, 12)[s])


def upside_down(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Top for bottom, and a little tilted."""
    return _rotated(x[::-1], rng.uniform(-1, 1) * (0, 3, 6, 9, 12)[s])


def elastic(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Smoothly bent."""
    strength = (1.0, 1.8, 2.6, 3.5, 4.5)[s]
    coarse = rng.normal(0, strength, (2, 6, 6)).astype(np.float32)
    dy, dx = (
        np.asarray(Image.fromarray(c).resize(x.shape[::-1], Image.Resampling.BICUBIC))
        for c in coarse
    )
    rows, columns = np.mgrid[: x.shape[0], : x.shape[1]]
    return _sampled(x, rows + dy, columns + dx)


def _sampled(x: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Bilinear, the edge repeated."""
    rows, columns = np.clip(rows, 0, x.shape[0] - 1.001), np.clip(columns, 0, x.shape[1] - 1.001)
    r, c = rows.astype(int), columns.astype(int)
    fr, fc = rows - r, columns - c
    top = x[r, c] * (1 - fc) + x[r, c + 1] * fc
    return np.asarray(top * (1 - fr) + (x[r + 1, c] * (1 - fc) + x[r + 1, c + 1] * fc) * fr)


def letterbox(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Shrunk in one direction between bars."""
    width = (3, 6, 9, 12, 15)[s]
    upright = rng.random() < 0.5
    out, source = np.full(x.shape, rng.choice((0.0, 255.0, 128.0))), x if upright else x.T
    out[width:-width] = _array(
        _picture(source).resize((x.shape[1], x.shape[0] - 2 * width), Image.Resampling.BILINEAR)
    )
    return out if upright else out.T


def border(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """A frame drawn over the rim."""
    width, out = (1, 3, 5, 7, 10)[s], x.copy()
    level = rng.choice((0.0, 255.0, rng.uniform(0, 255)))
    out[:width], out[-width:], out[:, :width], out[:, -width:] = level, level, level, level
    return out


def text(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Burnt-in lines of letters and digits."""
    picture = _picture(x)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=float((7, 8, 9, 10, 12)[s]))
    for _ in range((1, 2, 3, 4, 5)[s]):
        letters = "".join(
            rng.choice(list("ABCDEFGHLMPRSTX0123456789 :/"), int(rng.integers(4, 14)))
        )
        draw.text(
            (float(rng.uniform(0, 40)), float(rng.uniform(0, 56))),
            letters,
            fill=int(rng.choice((0, 255))),
            font=font,
        )
    return _array(picture)


def marker(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Side letters and rulers near the rim."""
    picture = _picture(x)
    draw, size = ImageDraw.Draw(picture), (8, 11, 14, 18, 22)[s]
    for _ in range(1 + s // 2):
        place = (int(rng.choice((1, x.shape[1] - size))), int(rng.integers(0, x.shape[0] - size)))
        draw.text(
            place,
            str(rng.choice(("L", "R", "A", "P", "*"))),
            fill=int(rng.choice((255, 230))),
            font=ImageFont.load_default(size=float(size)),
        )
    for y in range(8, 56, 6) if s > 1 else ():
        draw.line([58, y, 62, y], fill=255)
    return _array(picture)


def occlusion(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """A box over part of the image."""
    size, out = (8, 13, 18, 23, 28)[s], x.copy()
    top, left = rng.integers(0, x.shape[0] - size, 2)
    out[top : top + size, left : left + size] = rng.choice((0.0, 255.0, rng.uniform(0, 255)))
    return out


def lines(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """Scratches and callipers."""
    picture = _picture(x)
    draw = ImageDraw.Draw(picture)
    for _ in range((1, 3, 5, 8, 12)[s]):
        draw.line(
            [float(v) for v in rng.uniform(0, 64, 4)], fill=int(rng.choice((0, 255))), width=1
        )
    return _array(picture)


def stripes(x: np.ndarray, s: int, rng: np.random.Generator) -> np.ndarray:
    """A periodic disturbance."""
    y, z = np.mgrid[: x.shape[0], : x.shape[1]]
    angle, period = rng.uniform(0, np.pi), rng.uniform(3, 10)
    wave = np.sin(2 * np.pi * (y * np.sin(angle) + z * np.cos(angle)) / period)
    return np.asarray(x + (8, 15, 24, 35, 48)[s] * wave)


CORRUPTIONS: Final[dict[str, Corruption]] = {
    change.__name__: change
    for change in (
        *(
            jpeg,
            gaussian_noise,
            speckle_noise,
            poisson_noise,
            impulse_noise,
            gaussian_blur,
            box_blur,
            motion_blur,
        ),
        *(
            low_resolution,
            pixelate,
            brighter,
            darker,
            low_contrast,
            high_contrast,
            gamma_up,
            gamma_down,
            invert,
            equalise,
        ),
        *(
            posterise,
            background_black,
            background_white,
            background_noise,
            vignette,
            bias_field,
            rotate,
            quarter_turn,
            shift,
        ),
        *(
            zoom_in,
            zoom_out,
            aspect,
            shear,
            mirror,
            upside_down,
            elastic,
            letterbox,
            border,
            text,
            marker,
            occlusion,
            lines,
        ),
        stripes,
    )
}
