"""Procedurally drawn "unknown" images: what people upload that is none of the classes.

Each maker draws one grey image of a kind (photograph-like, document, screenshot, plot, noise, blank, other organs and
instruments as shapes). They teach the "none of these" row; nothing here is a photograph, so no data set is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from medloop.core.imaging.preprocess import preprocess

SIZE: Final = 64
LETTERBOXED: Final = 0.35  # share of the images
CANVAS: Final = 128  # drawn at twice the size and averaged down, as an upload would be
Maker = Callable[[np.random.Generator], np.ndarray]
LETTERS: Final = np.array(
    list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;()-")
)


def unknown_images(n: int, seed: int) -> np.ndarray:
    """`n` images uint8 [n, 64, 64], the kinds in turn; the same for the same seed."""
    rng = np.random.default_rng([seed, 0x0DD])
    images = np.empty((n, SIZE, SIZE), np.uint8)
    for i in range(n):
        images[i] = _letterboxed(_to_size(MAKERS[i % len(MAKERS)](rng)), rng)
    return images


def _letterboxed(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Now and then between bars, as the preprocessing shows what is wide or tall."""
    if rng.random() > LETTERBOXED:
        return image
    side = int(rng.uniform(0.35, 0.95) * SIZE)
    height, width = (side, SIZE) if rng.random() < 0.7 else (SIZE, side)
    whole = np.kron(image, np.ones((2, 2), np.uint8))
    part = (
        whole
        if rng.random() < 0.5
        else whole[SIZE // 2 : SIZE // 2 + 2 * height, :][:, : 2 * width]
    )
    return preprocess(
        np.asarray(Image.fromarray(part).resize((2 * width, 2 * height), Image.Resampling.BILINEAR))
    )


def _to_size(image: np.ndarray) -> np.ndarray:
    levels: np.ndarray = np.clip(image, 0, 255)
    if levels.shape[0] == CANVAS:
        levels = levels.reshape(SIZE, 2, SIZE, 2).mean((1, 3))
    return levels.astype(np.uint8)


def blank(rng: np.random.Generator) -> np.ndarray:
    """One level, sometimes with faint noise or a bright frame."""
    image = np.full((SIZE, SIZE), rng.uniform(0, 255))
    if rng.random() < 0.5:
        image += rng.normal(0, rng.uniform(0.3, 4), image.shape)
    if rng.random() < 0.2:
        width = rng.integers(1, 6)
        image[:width] = image[-width:] = image[:, :width] = image[:, -width:] = rng.uniform(0, 255)
    return image


def white_noise(rng: np.random.Generator) -> np.ndarray:
    """Uniform, Gaussian or binary noise in grains of one to eight pixels."""
    grain = int(rng.choice([1, 1, 2, 4, 8]))
    shape = (SIZE // grain, SIZE // grain)
    kinds = (
        rng.uniform(0, 255, shape),
        rng.normal(128, rng.uniform(10, 80), shape),
        255.0 * (rng.random(shape) < rng.random()),
    )
    return np.kron(kinds[rng.integers(3)], np.ones((grain, grain)))


def clouds(rng: np.random.Generator) -> np.ndarray:
    """Noise with a power-law spectrum, the statistics of natural textures."""
    return _stretch(_power_law(rng, SIZE, rng.uniform(0.5, 2.5)), rng)


def _power_law(rng: np.random.Generator, size: int, exponent: float) -> np.ndarray:
    fy, fx = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]
    radius = np.hypot(fy, fx * rng.uniform(0.6, 1.6))
    radius[0, 0] = 1.0
    return np.fft.irfft2(
        np.fft.rfft2(rng.normal(size=(size, size))) / radius**exponent, s=(size, size)
    )


def _stretch(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """To a random part of 0…255."""
    low, high = np.sort(rng.uniform(-30, 285, 2))
    span = max(high - low, 30.0)
    return np.asarray(low + span * (image - image.min()) / max(float(np.ptp(image)), 1e-6))


def gradient(rng: np.random.Generator) -> np.ndarray:
    """A linear or radial ramp, sometimes in steps."""
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    angle, cx, cy = rng.uniform(0, 2 * np.pi), *rng.uniform(-1, 1, 2)
    ramp = np.hypot(x - cx, y - cy) if rng.random() < 0.4 else x * np.cos(angle) + y * np.sin(angle)
    if rng.random() < 0.3:
        ramp = np.round(ramp * rng.uniform(1, 6))
    return np.asarray(_stretch(ramp, rng) + rng.normal(0, rng.uniform(0, 4), ramp.shape))


def pattern(rng: np.random.Generator) -> np.ndarray:
    """Stripes, checks, gratings and rings."""
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    angle = rng.uniform(0, np.pi)
    u, v = x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)
    f, g = rng.uniform(2, 30, 2)
    waves = (
        np.sin(f * u),
        np.sin(f * u) * np.sin(g * v),
        np.sin(f * np.hypot(x - rng.uniform(-1, 1), y)),
        np.sin(f * u + 2 * np.sin(g * v)),
    )
    wave = waves[rng.integers(4)]
    return _stretch(np.sign(wave) if rng.random() < 0.5 else wave, rng)


def dead_leaves(rng: np.random.Generator) -> np.ndarray:
    """Overlapping shaded and textured shapes of all sizes, as edges in photographs (Lee et al. 2001)."""
    image = _stretch(_power_law(rng, SIZE, 1.5), rng)
    grain = _power_law(rng, SIZE, 1.0)
    grain /= grain.std()
    y, x = np.mgrid[:SIZE, :SIZE]
    for _ in range(int(rng.integers(3, 30))):
        mask = _shape(rng, x, y, radius=float(min(36.0, 2.0 / rng.random() ** 0.7)))
        slope = rng.normal(0, 1.2, 2)
        level = rng.uniform(0, 255) + slope[0] * (x - 32) + slope[1] * (y - 32)
        image = np.where(mask, level + grain * rng.uniform(0, 25) * (rng.random() < 0.6), image)
    return image


def _shape(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """An ellipse, a box or a cut diamond somewhere on the grid."""
    cx, cy = rng.uniform(-0.1, 1.1, 2) * len(x)
    angle, stretch = rng.uniform(0, np.pi), np.exp(rng.normal(0, 0.6))
    u = ((x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)) / (radius * stretch)
    v = (-(x - cx) * np.sin(angle) + (y - cy) * np.cos(angle)) / radius
    kind = rng.integers(3)
    if kind == 0:
        return np.asarray(u**2 + v**2 < 1)
    if kind == 1:
        return np.asarray((np.abs(u) < 1) & (np.abs(v) < 1))
    return np.asarray((np.abs(u) + np.abs(v) < 1.2) & (u + 0.5 * np.sin(4 * v) < 0.8))


def landscape(rng: np.random.Generator) -> np.ndarray:
    """A bright part above a ragged horizon over textured ground, with upright things standing on it."""
    sky = np.linspace(rng.uniform(100, 255), rng.uniform(100, 255), CANVAS)[:, None] * np.ones(
        CANVAS
    )
    sky += _power_law(rng, CANVAS, 1.8) * rng.uniform(0, 60)
    ridge = np.cumsum(rng.normal(0, rng.uniform(0.2, 2.5), CANVAS)) + rng.uniform(30, 100)
    ground = rng.uniform(20, 160) + 30 * _unit(_power_law(rng, CANVAS, rng.uniform(0.6, 1.6)))
    image = np.where(np.arange(CANVAS)[:, None] > ridge[None], ground, sky)
    for _ in range(int(rng.integers(0, 8))):
        left, width, top = rng.integers(0, CANVAS), rng.integers(2, 30), rng.integers(5, 100)
        image[top : top + rng.integers(15, 90), left : left + width] = rng.uniform(0, 255)
    return image


def _unit(image: np.ndarray) -> np.ndarray:
    return np.asarray((image - image.mean()) / max(float(image.std()), 1e-6))


def face(rng: np.random.Generator) -> np.ndarray:
    """An oval with hair, eyes and a mouth before a soft background; portraits and pets at this size."""
    image, draw = _canvas(rng, rng.uniform(20, 230))
    cx, cy, w, h = (
        rng.uniform(45, 83),
        rng.uniform(45, 80),
        rng.uniform(20, 42),
        rng.uniform(26, 52),
    )
    skin, dark = int(rng.uniform(90, 235)), int(rng.uniform(0, 90))
    draw.rectangle(
        [cx - w * 1.6, cy + h * 0.8, cx + w * 1.6, CANVAS], fill=int(rng.uniform(0, 255))
    )
    draw.ellipse(
        [cx - w * 1.15, cy - h * 1.2, cx + w * 1.15, cy + h * rng.uniform(0.3, 1.2)], fill=dark
    )
    draw.ellipse([cx - w, cy - h, cx + w, cy + h], fill=skin)
    for side in (-1, 1):
        ex, ey, r = cx + side * w * 0.42, cy - h * 0.15, w * rng.uniform(0.1, 0.22)
        draw.ellipse([ex - r, ey - r * 0.7, ex + r, ey + r * 0.7], fill=dark)
    draw.ellipse([cx - w * 0.4, cy + h * 0.45, cx + w * 0.4, cy + h * 0.6], fill=int(skin * 0.6))
    return np.asarray(_softened(image, rng) + 8 * _unit(_power_law(rng, CANVAS, 1.5)))


def _canvas(rng: np.random.Generator, level: float) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("L", (CANVAS, CANVAS), int(level))
    return image, ImageDraw.Draw(image)


def _softened(image: Image.Image, rng: np.random.Generator) -> np.ndarray:
    return np.asarray(image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 2.5))), dtype=np.float64)


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


def _words(rng: np.random.Generator, n: int) -> str:
    letters = rng.choice(LETTERS, n)
    letters[rng.random(n) < 0.16] = " "
    return "".join(letters)


def document(rng: np.random.Generator) -> np.ndarray:
    """Lines of text, a title, sometimes columns, tables and a figure; dark on light or the other way round."""
    paper, ink = (
        (rng.uniform(200, 255), rng.uniform(0, 80))
        if rng.random() < 0.8
        else (rng.uniform(0, 50), rng.uniform(150, 255))
    )
    image, draw = _canvas(rng, paper)
    size = rng.choice([6, 8, 8, 10, 14, 22])
    font, y, left = _font(float(size)), rng.uniform(2, 20), rng.uniform(2, 14)
    while y < CANVAS - 4:
        if rng.random() < 0.88:
            draw.text(
                (left, y),
                _words(rng, int(rng.uniform(0.4, 2.2) * CANVAS / size)),
                fill=int(ink),
                font=font,
            )
        y += size * rng.uniform(1.1, 1.5)
    if rng.random() < 0.3:
        x0, y0 = rng.integers(0, 80, 2)
        w, h = rng.integers(15, 60, 2)
        draw.rectangle(
            [float(x0), float(y0), float(x0 + w), float(y0 + h)],
            fill=int(rng.uniform(0, 255)),
            outline=int(ink),
        )
    return _turned(image, rng)


def _turned(image: Image.Image, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.25:
        image = image.rotate(rng.uniform(-20, 20), fillcolor=int(rng.uniform(0, 255)))
    return np.asarray(image, dtype=np.float64)


def screenshot(rng: np.random.Generator) -> np.ndarray:
    """Panels, bars, buttons, icons and short texts, as windows and web pages have."""
    dark = rng.random() < 0.4
    image, draw = _canvas(rng, rng.uniform(10, 60) if dark else rng.uniform(225, 255))
    for _ in range(int(rng.integers(4, 22))):
        x0, y0 = rng.integers(-10, CANVAS, 2)
        w, h = (
            (rng.integers(20, 130), rng.integers(3, 18))
            if rng.random() < 0.6
            else rng.integers(8, 70, 2)
        )
        level = int(rng.uniform(0, 255))
        draw.rounded_rectangle([x0, y0, x0 + w, y0 + h], radius=int(rng.integers(0, 4)), fill=level)
        if rng.random() < 0.6:
            draw.text(
                (x0 + 2, y0 + 1),
                _words(rng, int(rng.integers(3, 16))),
                fill=255 - level,
                font=_font(float(rng.integers(5, 9))),
            )
    if rng.random() < 0.6:
        draw.rectangle(
            [0.0, 0.0, float(CANVAS), float(rng.integers(4, 14))], fill=int(rng.uniform(0, 255))
        )
    return np.asarray(image, dtype=np.float64)


def plot(rng: np.random.Generator) -> np.ndarray:
    """Axes with curves, bars, points, a pie or a map of squares; dark on light or the other way round."""
    paper = 255 if rng.random() < 0.6 else int(rng.uniform(0, 60))
    image, draw = _canvas(rng, paper)
    ink, left, bottom = 255 - paper, rng.uniform(6, 24), rng.uniform(96, 122)
    if rng.random() < 0.85:
        draw.line(
            [left, 8, left, bottom, 122, bottom, 122, 8, left, 8],
            fill=ink,
            width=int(rng.integers(1, 3)),
        )
    if rng.random() < 0.4:
        for t in range(20, 120, int(rng.integers(10, 30))):
            draw.line([left, t, 122, t], fill=int(abs(paper - 40)))
    content = CONTENTS[rng.integers(len(CONTENTS))]
    for _ in range(int(rng.integers(1, 5))):
        content(draw, rng, int(abs(paper - rng.uniform(55, 255))))
    for _ in range(int(rng.integers(0, 6))):
        draw.text(
            (rng.uniform(0, 100), rng.choice([0, 116])), _words(rng, 8), fill=ink, font=_font(7.0)
        )
    return np.asarray(image, dtype=np.float64)


def _curve(draw: ImageDraw.ImageDraw, rng: np.random.Generator, level: int) -> None:
    n = int(rng.integers(4, 60))
    ys = np.clip(60 + np.cumsum(rng.normal(0, 60 / n**0.5, n)), 8, 112)
    draw.line(
        [*zip(np.linspace(18, 120, n), ys, strict=True)], fill=level, width=int(rng.integers(1, 4))
    )


def _bars(draw: ImageDraw.ImageDraw, rng: np.random.Generator, level: int) -> None:
    n = int(rng.integers(3, 30))
    for x, y in zip(np.linspace(18, 116, n), rng.uniform(12, 108, n), strict=True):
        draw.rectangle([x, y, x + 80 / n, 112], fill=level)


def _points(draw: ImageDraw.ImageDraw, rng: np.random.Generator, level: int) -> None:
    radius, spread = rng.uniform(0.8, 4), rng.uniform(8, 28)
    for x, y in rng.normal(rng.uniform(45, 85, 2), spread, (int(rng.integers(10, 150)), 2)):
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=level)


def _pie(draw: ImageDraw.ImageDraw, rng: np.random.Generator, level: int) -> None:
    radius, angles = (
        rng.uniform(20, 50),
        np.cumsum(rng.dirichlet(np.ones(int(rng.integers(2, 7))))) * 360,
    )
    for start, end in zip(np.roll(angles, 1), angles, strict=True):
        box = [64 - radius, 62 - radius, 64 + radius, 62 + radius]
        draw.pieslice(box, start % 360, end, fill=int(rng.uniform(0, 255)))


def _squares(draw: ImageDraw.ImageDraw, rng: np.random.Generator, level: int) -> None:
    n = int(rng.integers(3, 14))
    for k in range(n * n):
        x, y = 20 + k % n * 92 / n, 12 + k // n * 92 / n
        draw.rectangle(
            [x, y, x + 92 / n, y + 92 / n], fill=int(np.clip(rng.normal(level, 70), 0, 255))
        )


CONTENTS: Final = (_curve, _curve, _bars, _points, _points, _pie, _squares)


def glyph(rng: np.random.Generator) -> np.ndarray:
    """One or two large letters or digits: handwriting, icons and logos."""
    paper = int(rng.uniform(0, 255))
    image, draw = _canvas(rng, paper)
    for _ in range(int(rng.integers(1, 3))):
        text = "".join(rng.choice(LETTERS, int(rng.integers(1, 3))))
        draw.text(
            tuple(rng.uniform(-5, 50, 2)),
            text,
            fill=int((paper + rng.uniform(80, 176)) % 256),
            font=_font(float(rng.uniform(40, 120))),
        )
    return _turned(image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 3))), rng)


def tissue(rng: np.random.Generator) -> np.ndarray:
    """Histology: many small dark nuclei on a mottled stain, sometimes with pale gaps and glands."""
    base = rng.uniform(140, 225) + rng.uniform(8, 30) * _unit(
        _power_law(rng, CANVAS, rng.uniform(0.8, 1.6))
    )
    image = Image.fromarray(np.clip(base, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(0, 6))):
        _ellipse(draw, rng, rng.uniform(8, 30), int(rng.uniform(215, 255)))
    radius, ink = rng.uniform(1.2, 6), rng.uniform(30, 120)
    for _ in range(int(rng.integers(30, 400))):
        _ellipse(draw, rng, radius * rng.uniform(0.6, 1.4), int(ink + rng.uniform(-25, 25)))
    return _softened(image, rng)


def _ellipse(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, radius: float, level: int
) -> None:
    x, y = rng.uniform(-5, CANVAS + 5, 2)
    a, b = radius * rng.uniform(0.6, 1.5, 2)
    draw.ellipse([x - a, y - b, x + a, y + b], fill=level)


def fundus(rng: np.random.Generator) -> np.ndarray:
    """Eye background: a lit disc with a bright spot and branching dark vessels."""
    image, draw = _canvas(rng, rng.uniform(0, 15))
    radius, level = rng.uniform(52, 80), rng.uniform(70, 190)
    draw.ellipse([64 - radius, 64 - radius, 64 + radius, 64 + radius], fill=int(level))
    sx, sy = 64 + rng.choice([-1, 1]) * rng.uniform(0, 30), 64 + rng.uniform(-10, 10)
    r = rng.uniform(6, 13)
    draw.ellipse([sx - r, sy - r, sx + r, sy + r], fill=int(min(255, level + rng.uniform(30, 90))))
    for _ in range(int(rng.integers(4, 12))):
        _vessel(
            draw,
            rng,
            sx,
            sy,
            rng.uniform(0, 2 * np.pi),
            int(level * rng.uniform(0.45, 0.8)),
            float(rng.uniform(1.5, 4)),
        )
    return np.asarray(
        _softened(image, rng)
        * (1 - 0.25 * np.hypot(*(np.mgrid[-1 : 1 : CANVAS * 1j, -1 : 1 : CANVAS * 1j])))
    )


def _vessel(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    x: float,
    y: float,
    angle: float,
    level: int,
    width: float,
) -> None:
    for _ in range(int(rng.integers(6, 16))):
        angle += rng.normal(0, 0.35)
        x2, y2 = x + 7 * np.cos(angle), y + 7 * np.sin(angle)
        draw.line([x, y, x2, y2], fill=level, width=max(1, round(width)))
        x, y, width = x2, y2, width * 0.93


def skin(rng: np.random.Generator) -> np.ndarray:
    """A dark irregular spot on smooth skin, sometimes with hairs and a ruler."""
    y, x = np.mgrid[-1 : 1 : CANVAS * 1j, -1 : 1 : CANVAS * 1j]
    angle = np.arctan2(y - rng.uniform(-0.3, 0.3), x - rng.uniform(-0.3, 0.3))
    edge = rng.uniform(0.2, 0.8) * (
        1 + sum(rng.normal(0, 0.12) * np.cos(k * angle + rng.uniform(0, 6)) for k in range(1, 6))
    )
    spot = 1 / (1 + np.exp((np.hypot(x, y) - edge) * rng.uniform(6, 40)))
    mottle = _unit(_power_law(rng, CANVAS, 1.3))
    levels = (
        rng.uniform(120, 220)
        - rng.uniform(30, 120) * spot * (1 + 0.15 * mottle)
        + rng.uniform(1, 8) * mottle
    )
    image = Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(0, 15)) if rng.random() < 0.5 else 0):
        start, end = np.sort(rng.uniform(0, 360, 2))
        draw.arc(
            [*rng.uniform(-80, 60, 2), *rng.uniform(70, 200, 2)],
            start,
            end,
            fill=int(rng.uniform(10, 70)),
        )
    return np.asarray(image, dtype=np.float64)


def ultrasound(rng: np.random.Generator) -> np.ndarray:
    """A fan or a box of speckle with dark cysts and bright layers on black."""
    y, x = np.mgrid[0 : 1 : CANVAS * 1j, -1 : 1 : CANVAS * 1j]
    signal = np.exp(
        rng.uniform(0.3, 0.9) * _unit(_power_law(rng, CANVAS, rng.uniform(0.6, 2.0)))
    ) * rng.uniform(30, 90)
    for _ in range(int(rng.integers(0, 6))):
        cx, cy, r = rng.uniform(-0.6, 0.6), rng.uniform(0.15, 0.9), rng.uniform(0.05, 0.3)
        signal = np.where(
            ((x - cx) / r) ** 2 + ((y - cy) / r / rng.uniform(0.5, 1)) ** 2 < 1,
            signal * rng.choice([0.1, 0.3, 2.0]),
            signal,
        )
    for _ in range(int(rng.integers(0, 5))):
        depth = rng.uniform(0.05, 0.9) + rng.normal(0, 0.15) * x + rng.normal(0, 0.1) * x**2
        signal = signal + rng.uniform(60, 200) * np.exp(
            -(((y - depth) / rng.uniform(0.01, 0.04)) ** 2)
        )
    signal *= np.exp(rng.normal(0, 0.4, signal.shape))
    apex, spread = rng.uniform(-0.6, 0.0), rng.uniform(0.4, 1.3)
    fan = (
        (np.abs(x) < spread * (y - apex))
        & (np.hypot(x, y - apex) < rng.uniform(0.9, 1.4))
        & (np.hypot(x, y - apex) > rng.uniform(0, 0.3))
    )
    return np.where(fan, signal, 0.0) if rng.random() < 0.7 else signal


def layers(rng: np.random.Generator) -> np.ndarray:
    """Optical coherence tomography: bright wavy bands with speckle below a dark gap."""
    y, x = np.mgrid[0 : 1 : CANVAS * 1j, -1 : 1 : CANVAS * 1j]
    surface = (
        rng.uniform(0.2, 0.6)
        + rng.normal(0, 0.1) * x
        + rng.normal(0, 0.15) * x**2
        - rng.uniform(-0.1, 0.2) * np.exp(-((x / 0.2) ** 2))
    )
    image = np.full(x.shape, rng.uniform(5, 60))
    depth = 0.0
    for _ in range(int(rng.integers(2, 7))):
        width = rng.uniform(0.02, 0.1)
        image = np.where(
            (y > surface + depth) & (y < surface + depth + width), rng.uniform(40, 230), image
        )
        depth += width
    return np.asarray(image + rng.normal(0, rng.uniform(5, 35), x.shape))


def joint(rng: np.random.Generator) -> np.ndarray:
    """Two long bones that meet, as knees and elbows show in radiographs."""
    image, draw = _canvas(rng, rng.uniform(0, 40))
    flesh, bone, middle = rng.uniform(50, 120), rng.uniform(140, 250), rng.uniform(50, 78)
    legs = (64,) if rng.random() < 0.6 else (32, 96)
    scale = 1.0 if len(legs) == 1 else 0.5
    for cx in legs:
        w = scale * rng.uniform(35, 60)
        draw.rectangle([cx - w, 0, cx + w, CANVAS], fill=int(flesh))
        shaft, end = scale * rng.uniform(12, 22), scale * rng.uniform(26, 40)
        draw.rectangle([cx - shaft, 0, cx + shaft, middle - 10], fill=int(bone))
        draw.rectangle([cx - shaft, middle + 10, cx + shaft, CANVAS], fill=int(bone))
        for side in (-1, 1):
            ends = cx + side * end * 0.45
            draw.ellipse(
                [ends - end * 0.6, middle - 24, ends + end * 0.6, middle - 2], fill=int(bone)
            )
        draw.rounded_rectangle([cx - end, middle + 2, cx + end, middle + 20], 6, fill=int(bone))
    soft = np.asarray(
        image.filter(ImageFilter.GaussianBlur(rng.uniform(1, 5))).rotate(rng.uniform(-25, 25)),
        dtype=np.float64,
    )
    return np.asarray(soft + 6 * _unit(_power_law(rng, CANVAS, 1.4)))


def column(rng: np.random.Generator) -> np.ndarray:
    """A curved row of blocks: spines, teeth and fingers of no hand."""
    image, draw = _canvas(rng, rng.uniform(0, 90))
    n, x, drift, level = (
        int(rng.integers(4, 14)),
        rng.uniform(40, 88),
        rng.normal(0, 4),
        rng.uniform(110, 250),
    )
    step, width = CANVAS / n, rng.uniform(9, 30)
    if rng.random() < 0.5:
        draw.rectangle(
            [x - width * 1.9, 0, x + width * 1.9, CANVAS], fill=int(rng.uniform(40, 110))
        )
    for k in range(n + 1):
        x += drift + rng.normal(0, 1)
        drift += rng.normal(0, 1)
        draw.rounded_rectangle(
            [x - width, k * step, x + width, k * step + step * rng.uniform(0.55, 0.9)],
            3,
            fill=int(level + rng.normal(0, 10)),
        )
        if rng.random() < 0.6:
            draw.line(
                [x + width, k * step + step / 2, x + width * 1.8, k * step + step],
                fill=int(level * 0.8),
                width=3,
            )
    turned = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 3))).rotate(
        float(rng.choice([0, 90])) + rng.uniform(-20, 20)
    )
    return np.asarray(
        np.asarray(turned, dtype=np.float64) + 6 * _unit(_power_law(rng, CANVAS, 1.4))
    )


def objects(rng: np.random.Generator) -> np.ndarray:
    """One to five shaded things on a plain or a graded ground, with soft shadows."""
    y, x = np.mgrid[:CANVAS, :CANVAS]
    image = rng.uniform(0, 255) + rng.normal(0, 0.4) * (x - 64) + rng.normal(0, 0.4) * (y - 64)
    for _ in range(int(rng.integers(1, 6))):
        mask = _shape(rng, x, y, radius=float(rng.uniform(10, 45)))
        image = np.where(np.roll(mask, (6, 6), (0, 1)), image * 0.7, image)
        image = np.where(
            mask,
            rng.uniform(0, 255) + rng.normal(0, 1.2) * (x - 64) + rng.normal(0, 1.2) * (y - 64),
            image,
        )
    blurred = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(rng.uniform(0, 2))
    )
    return np.asarray(blurred, dtype=np.float64) + rng.uniform(0, 12) * _unit(
        _power_law(rng, CANVAS, 1.0)
    )


MAKERS: Final[tuple[Maker, ...]] = (
    dead_leaves,
    document,
    clouds,
    screenshot,
    tissue,
    plot,
    landscape,
    ultrasound,
    joint,
    objects,
    white_noise,
    face,
    skin,
    dead_leaves,
    column,
    fundus,
    glyph,
    gradient,
    layers,
    pattern,
    blank,
)
