"""Procedurally drawn "unknown" images: what people upload that is none of the classes.

Each maker draws one grey image of a kind (photograph-like, document, screenshot, plot, noise,
blank, other organs and instruments as shapes). They teach the "none of these" row. Nothing here is
a photograph, so no data set is needed.
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
Maker = Callable[[np.random.Generator], np.ndarray | Image.Image]
Content = Callable[[ImageDraw.ImageDraw, np.random.Generator, int], None]
LETTERS: Final = np.array(
    list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;()-")
)


def unknown_images(n: int, seed: int) -> np.ndarray:
    """Draw uint8 [n, 64, 64], the kinds in turn; the same for the same seed."""
    rng = np.random.default_rng([seed, 0x0DD])
    images = np.empty((n, SIZE, SIZE), np.uint8)
    for i in range(n):
        images[i] = _letterboxed(_to_size(MAKERS[i % len(MAKERS)](rng)), rng)
    return images


def _letterboxed(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Put some between bars, as the preprocessing shows what is wide or tall."""
    if rng.random() > LETTERBOXED:
        return image
    side = int(rng.uniform(0.35, 0.95) * SIZE)
    height, width = (side, SIZE) if rng.random() < 0.7 else (SIZE, side)
    part = np.kron(image, np.ones((2, 2), np.uint8))
    if rng.random() >= 0.5:
        part = part[SIZE // 2 : SIZE // 2 + 2 * height, : 2 * width]
    size = 2 * width, 2 * height
    return preprocess(np.asarray(Image.fromarray(part).resize(size, Image.Resampling.BILINEAR)))


def _to_size(image: np.ndarray | Image.Image) -> np.ndarray:
    levels = np.clip(np.asarray(image), 0, 255)
    if levels.shape[0] == CANVAS:
        levels = levels.reshape(SIZE, 2, SIZE, 2).mean((1, 3))
    return np.asarray(levels, dtype=np.uint8)


def _level(rng: np.random.Generator, low: float = 0, high: float = 255) -> int:
    return int(rng.uniform(low, high))


def _times(rng: np.random.Generator, low: int, high: int) -> range:
    """Repeat a random number of times, from `low` to below `high`."""
    return range(int(rng.integers(low, high)))


def _grid(size: int, top: float = -1) -> tuple[np.ndarray, np.ndarray]:
    """Give rows from `top` to 1 and columns from -1 to 1, each [size, size]."""
    y, x = np.mgrid[top : 1 : size * 1j, -1 : 1 : size * 1j]
    return y, x


def _power_law(rng: np.random.Generator, size: int, exponent: float) -> np.ndarray:
    """Draw noise with a power-law spectrum, the statistics of natural textures."""
    fy, fx = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]
    radius = np.hypot(fy, fx * rng.uniform(0.6, 1.6))
    radius[0, 0] = 1.0
    spectrum = np.fft.rfft2(rng.normal(size=(size, size))) / radius**exponent
    return np.fft.irfft2(spectrum, s=(size, size))


def _grain(rng: np.random.Generator, exponent: float) -> np.ndarray:
    """Draw such noise of the canvas's size, of mean 0 and deviation 1."""
    noise = _power_law(rng, CANVAS, exponent)
    return np.asarray((noise - noise.mean()) / max(float(noise.std()), 1e-6))


def _stretch(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Stretch to a random part of 0…255."""
    low, high = np.sort(rng.uniform(-30, 285, 2))
    span = max(high - low, 30.0)
    return np.asarray(low + span * (image - image.min()) / max(float(np.ptp(image)), 1e-6))


def _canvas(level: float) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("L", (CANVAS, CANVAS), int(level))
    return image, ImageDraw.Draw(image)


def _drawable(levels: np.ndarray) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))
    return image, ImageDraw.Draw(image)


def _around(x: float, y: float, a: float, b: float) -> list[float]:
    """Give the corners of the box that reaches `a` and `b` from its centre."""
    return [x - a, y - b, x + a, y + b]


def _blurred(image: Image.Image, rng: np.random.Generator, low: float, high: float) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(low, high)))


def _turned(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    if rng.random() < 0.25:
        image = image.rotate(rng.uniform(-20, 20), fillcolor=_level(rng))
    return image


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


def _words(rng: np.random.Generator, n: int) -> str:
    letters = rng.choice(LETTERS, n)
    letters[rng.random(n) < 0.16] = " "
    return "".join(letters)


def blank(rng: np.random.Generator) -> np.ndarray:
    """Fill with one level, sometimes with faint noise or a bright frame."""
    image = np.full((SIZE, SIZE), rng.uniform(0, 255))
    if rng.random() < 0.5:
        image += rng.normal(0, rng.uniform(0.3, 4), image.shape)
    if rng.random() < 0.2:
        width = rng.integers(1, 6)
        image[:width] = image[-width:] = image[:, :width] = image[:, -width:] = rng.uniform(0, 255)
    return image


def white_noise(rng: np.random.Generator) -> np.ndarray:
    """Draw uniform, Gaussian or binary noise in grains of one to eight pixels."""
    grain = int(rng.choice([1, 1, 2, 4, 8]))
    shape = (SIZE // grain, SIZE // grain)
    kinds = (
        rng.uniform(0, 255, shape),
        rng.normal(128, rng.uniform(10, 80), shape),
        255.0 * (rng.random(shape) < rng.random()),
    )
    return np.kron(kinds[rng.integers(3)], np.ones((grain, grain)))


def clouds(rng: np.random.Generator) -> np.ndarray:
    """Draw textured noise alone."""
    return _stretch(_power_law(rng, SIZE, rng.uniform(0.5, 2.5)), rng)


def gradient(rng: np.random.Generator) -> np.ndarray:
    """Draw a linear or radial ramp, sometimes in steps."""
    y, x = _grid(SIZE)
    angle, cx, cy = rng.uniform(0, 2 * np.pi), *rng.uniform(-1, 1, 2)
    ramp = np.hypot(x - cx, y - cy) if rng.random() < 0.4 else x * np.cos(angle) + y * np.sin(angle)
    if rng.random() < 0.3:
        ramp = np.round(ramp * rng.uniform(1, 6))
    return np.asarray(_stretch(ramp, rng) + rng.normal(0, rng.uniform(0, 4), ramp.shape))


def pattern(rng: np.random.Generator) -> np.ndarray:
    """Draw stripes, checks, gratings or rings."""
    y, x = _grid(SIZE)
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
    """Draw overlapping shaded and textured shapes, as edges in photographs (Lee et al. 2001)."""
    image = _stretch(_power_law(rng, SIZE, 1.5), rng)
    grain = _power_law(rng, SIZE, 1.0)
    grain /= grain.std()
    y, x = np.mgrid[:SIZE, :SIZE]
    for _ in _times(rng, 3, 30):
        mask = _shape(rng, x, y, radius=float(min(36.0, 2.0 / rng.random() ** 0.7)))
        slope = rng.normal(0, 1.2, 2)
        level = rng.uniform(0, 255) + slope[0] * (x - 32) + slope[1] * (y - 32)
        image = np.where(mask, level + grain * rng.uniform(0, 25) * (rng.random() < 0.6), image)
    return image


def _shape(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """Place an ellipse, a box or a cut diamond somewhere on the grid."""
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


def objects(rng: np.random.Generator) -> np.ndarray:
    """Draw one to five shaded things on a plain or a graded ground, with soft shadows."""
    y, x = np.mgrid[:CANVAS, :CANVAS]

    def shading(steepness: float) -> np.ndarray:
        return np.asarray(
            rng.uniform(0, 255)
            + rng.normal(0, steepness) * (x - 64)
            + rng.normal(0, steepness) * (y - 64)
        )

    image = shading(0.4)
    for _ in _times(rng, 1, 6):
        mask = _shape(rng, x, y, radius=float(rng.uniform(10, 45)))
        image = np.where(np.roll(mask, (6, 6), (0, 1)), image * 0.7, image)
        image = np.where(mask, shading(1.2), image)
    soft = np.asarray(_blurred(_drawable(image)[0], rng, 0, 2))
    return np.asarray(soft + rng.uniform(0, 12) * _grain(rng, 1.0))


def landscape(rng: np.random.Generator) -> np.ndarray:
    """Draw a sky above a ragged horizon and textured ground, with upright things standing on it."""
    top, bottom = rng.uniform(100, 255), rng.uniform(100, 255)
    sky = np.linspace(top, bottom, CANVAS)[:, None] * np.ones(CANVAS)
    sky += _power_law(rng, CANVAS, 1.8) * rng.uniform(0, 60)
    ridge = np.cumsum(rng.normal(0, rng.uniform(0.2, 2.5), CANVAS)) + rng.uniform(30, 100)
    ground = rng.uniform(20, 160) + 30 * _grain(rng, rng.uniform(0.6, 1.6))
    image = np.where(np.arange(CANVAS)[:, None] > ridge[None], ground, sky)
    for _ in _times(rng, 0, 8):
        left, width, foot = rng.integers(0, CANVAS), rng.integers(2, 30), rng.integers(5, 100)
        image[foot : foot + rng.integers(15, 90), left : left + width] = rng.uniform(0, 255)
    return image


def face(rng: np.random.Generator) -> np.ndarray:
    """Draw an oval with hair, eyes and a mouth on a soft background, as portraits and pets look."""
    image, draw = _canvas(rng.uniform(20, 230))
    cx, cy, w, h = (rng.uniform(*span) for span in ((45, 83), (45, 80), (20, 42), (26, 52)))
    skin, dark = _level(rng, 90, 235), _level(rng, 0, 90)
    draw.rectangle([cx - w * 1.6, cy + h * 0.8, cx + w * 1.6, CANVAS], fill=_level(rng))
    hair = [cx - w * 1.15, cy - h * 1.2, cx + w * 1.15, cy + h * rng.uniform(0.3, 1.2)]
    draw.ellipse(hair, fill=dark)
    draw.ellipse(_around(cx, cy, w, h), fill=skin)
    for side in (-1, 1):
        r = w * rng.uniform(0.1, 0.22)
        draw.ellipse(_around(cx + side * w * 0.42, cy - h * 0.15, r, r * 0.7), fill=dark)
    draw.ellipse([cx - w * 0.4, cy + h * 0.45, cx + w * 0.4, cy + h * 0.6], fill=int(skin * 0.6))
    return np.asarray(np.asarray(_blurred(image, rng, 0, 2.5)) + 8 * _grain(rng, 1.5))


def document(rng: np.random.Generator) -> Image.Image:
    """Write lines of text, sometimes with a figure; dark on light or the other way round."""
    spans = ((200, 255), (0, 80)) if rng.random() < 0.8 else ((0, 50), (150, 255))
    paper, ink = rng.uniform(*spans[0]), _level(rng, *spans[1])
    image, draw = _canvas(paper)
    size = rng.choice([6, 8, 8, 10, 14, 22])
    font, y, left = _font(float(size)), rng.uniform(2, 20), rng.uniform(2, 14)
    while y < CANVAS - 4:
        if rng.random() < 0.88:
            words = _words(rng, int(rng.uniform(0.4, 2.2) * CANVAS / size))
            draw.text((left, y), words, fill=ink, font=font)
        y += size * rng.uniform(1.1, 1.5)
    if rng.random() < 0.3:
        (x0, y0), (w, h) = rng.integers(0, 80, 2), rng.integers(15, 60, 2)
        corners = [float(x0), float(y0), float(x0 + w), float(y0 + h)]
        draw.rectangle(corners, fill=_level(rng), outline=ink)
    return _turned(image, rng)


def screenshot(rng: np.random.Generator) -> Image.Image:
    """Draw panels, bars, buttons, icons and short texts, as windows and web pages have."""
    image, draw = _canvas(rng.uniform(*((10, 60) if rng.random() < 0.4 else (225, 255))))
    for _ in _times(rng, 4, 22):
        x0, y0 = rng.integers(-10, CANVAS, 2)
        if rng.random() < 0.6:
            w, h = rng.integers(20, 130), rng.integers(3, 18)
        else:
            w, h = rng.integers(8, 70, 2)
        level, radius = _level(rng), int(rng.integers(0, 4))
        draw.rounded_rectangle([x0, y0, x0 + w, y0 + h], radius, fill=level)
        if rng.random() < 0.6:
            words = _words(rng, int(rng.integers(3, 16)))
            font = _font(float(rng.integers(5, 9)))
            draw.text((x0 + 2, y0 + 1), words, fill=255 - level, font=font)
    if rng.random() < 0.6:
        draw.rectangle([0.0, 0.0, float(CANVAS), float(rng.integers(4, 14))], fill=_level(rng))
    return image


def plot(rng: np.random.Generator) -> Image.Image:
    """Draw axes with curves, bars, points, a pie or a map of squares; dark on light or not."""
    paper = 255 if rng.random() < 0.6 else _level(rng, 0, 60)
    image, draw = _canvas(paper)
    ink, left, bottom = 255 - paper, rng.uniform(6, 24), rng.uniform(96, 122)
    if rng.random() < 0.85:
        axes = [left, 8, left, bottom, 122, bottom, 122, 8, left, 8]
        draw.line(axes, fill=ink, width=int(rng.integers(1, 3)))
    if rng.random() < 0.4:
        for t in range(20, 120, int(rng.integers(10, 30))):
            draw.line([left, t, 122, t], fill=int(abs(paper - 40)))
    content = CONTENTS[rng.integers(len(CONTENTS))]
    for _ in _times(rng, 1, 5):
        content(draw, rng, int(abs(paper - rng.uniform(55, 255))))
    for _ in _times(rng, 0, 6):
        place = rng.uniform(0, 100), rng.choice([0, 116])
        draw.text(place, _words(rng, 8), fill=ink, font=_font(7))
    return image


def _curve(draw: ImageDraw.ImageDraw, rng: np.random.Generator, level: int) -> None:
    n = int(rng.integers(4, 60))
    ys = np.clip(60 + np.cumsum(rng.normal(0, 60 / n**0.5, n)), 8, 112)
    points = [*zip(np.linspace(18, 120, n), ys, strict=True)]
    draw.line(points, fill=level, width=int(rng.integers(1, 4)))


def _bars(draw: ImageDraw.ImageDraw, rng: np.random.Generator, level: int) -> None:
    n = int(rng.integers(3, 30))
    for x, y in zip(np.linspace(18, 116, n), rng.uniform(12, 108, n), strict=True):
        draw.rectangle([x, y, x + 80 / n, 112], fill=level)


def _points(draw: ImageDraw.ImageDraw, rng: np.random.Generator, level: int) -> None:
    radius, spread = rng.uniform(0.8, 4), rng.uniform(8, 28)
    for x, y in rng.normal(rng.uniform(45, 85, 2), spread, (int(rng.integers(10, 150)), 2)):
        draw.ellipse(_around(x, y, radius, radius), fill=level)


def _pie(draw: ImageDraw.ImageDraw, rng: np.random.Generator, level: int) -> None:
    radius = rng.uniform(20, 50)
    angles = np.cumsum(rng.dirichlet(np.ones(int(rng.integers(2, 7))))) * 360
    for start, end in zip(np.roll(angles, 1), angles, strict=True):
        draw.pieslice(_around(64, 62, radius, radius), start % 360, end, fill=_level(rng))


def _squares(draw: ImageDraw.ImageDraw, rng: np.random.Generator, level: int) -> None:
    n = int(rng.integers(3, 14))
    for k in range(n * n):
        x, y = 20 + k % n * 92 / n, 12 + k // n * 92 / n
        fill = int(np.clip(rng.normal(level, 70), 0, 255))
        draw.rectangle([x, y, x + 92 / n, y + 92 / n], fill=fill)


CONTENTS: Final[tuple[Content, ...]] = (_curve, _curve, _bars, _points, _points, _pie, _squares)


def glyph(rng: np.random.Generator) -> Image.Image:
    """Write one or two large letters or digits, as handwriting, icons and logos look."""
    paper = _level(rng)
    image, draw = _canvas(paper)
    for _ in _times(rng, 1, 3):
        text = "".join(rng.choice(LETTERS, int(rng.integers(1, 3))))
        place, ink = tuple(rng.uniform(-5, 50, 2)), int((paper + rng.uniform(80, 176)) % 256)
        draw.text(place, text, fill=ink, font=_font(rng.uniform(40, 120)))
    return _turned(_blurred(image, rng, 0, 3), rng)


def tissue(rng: np.random.Generator) -> Image.Image:
    """Draw histology: many small dark nuclei on a mottled stain, sometimes with gaps and glands."""
    base, contrast = rng.uniform(140, 225), rng.uniform(8, 30)
    image, draw = _drawable(base + contrast * _grain(rng, rng.uniform(0.8, 1.6)))
    for _ in _times(rng, 0, 6):
        _spot(draw, rng, rng.uniform(8, 30), _level(rng, 215, 255))
    radius, ink = rng.uniform(1.2, 6), rng.uniform(30, 120)
    for _ in _times(rng, 30, 400):
        _spot(draw, rng, radius * rng.uniform(0.6, 1.4), int(ink + rng.uniform(-25, 25)))
    return _blurred(image, rng, 0, 2.5)


def _spot(draw: ImageDraw.ImageDraw, rng: np.random.Generator, radius: float, level: int) -> None:
    x, y = rng.uniform(-5, CANVAS + 5, 2)
    draw.ellipse(_around(x, y, *(radius * rng.uniform(0.6, 1.5, 2))), fill=level)


def fundus(rng: np.random.Generator) -> np.ndarray:
    """Draw the back of an eye: a lit disc with a bright spot and branching dark vessels."""
    image, draw = _canvas(rng.uniform(0, 15))
    radius, level = rng.uniform(52, 80), rng.uniform(70, 190)
    draw.ellipse(_around(64, 64, radius, radius), fill=int(level))
    sx, sy = 64 + rng.choice([-1, 1]) * rng.uniform(0, 30), 64 + rng.uniform(-10, 10)
    r = rng.uniform(6, 13)
    draw.ellipse(_around(sx, sy, r, r), fill=int(min(255, level + rng.uniform(30, 90))))
    for _ in _times(rng, 4, 12):
        x, y, angle = sx, sy, rng.uniform(0, 2 * np.pi)
        ink, width = int(level * rng.uniform(0.45, 0.8)), float(rng.uniform(1.5, 4))
        for _ in _times(rng, 6, 16):
            angle += rng.normal(0, 0.35)
            end = x + 7 * np.cos(angle), y + 7 * np.sin(angle)
            draw.line([x, y, *end], fill=ink, width=max(1, round(width)))
            (x, y), width = end, width * 0.93
    lit = 1 - 0.25 * np.hypot(*_grid(CANVAS))
    return np.asarray(np.asarray(_blurred(image, rng, 0, 2.5)) * lit)


def skin(rng: np.random.Generator) -> Image.Image:
    """Draw a dark irregular spot on smooth skin, sometimes with hairs."""
    y, x = _grid(CANVAS)
    angle = np.arctan2(y - rng.uniform(-0.3, 0.3), x - rng.uniform(-0.3, 0.3))
    edge = rng.uniform(0.2, 0.8) * (
        1 + sum(rng.normal(0, 0.12) * np.cos(k * angle + rng.uniform(0, 6)) for k in range(1, 6))
    )
    spot = 1 / (1 + np.exp((np.hypot(x, y) - edge) * rng.uniform(6, 40)))
    mottle = _grain(rng, 1.3)
    ground, depth = rng.uniform(120, 220), rng.uniform(30, 120)
    levels = ground - depth * spot * (1 + 0.15 * mottle) + rng.uniform(1, 8) * mottle
    image, draw = _drawable(levels)
    for _ in range(int(rng.integers(0, 15)) if rng.random() < 0.5 else 0):
        start, end = np.sort(rng.uniform(0, 360, 2))
        corners = [*rng.uniform(-80, 60, 2), *rng.uniform(70, 200, 2)]
        draw.arc(corners, start, end, fill=_level(rng, 10, 70))
    return image


def ultrasound(rng: np.random.Generator) -> np.ndarray:
    """Draw a fan or a box of speckle with dark cysts and bright layers on black."""
    y, x = _grid(CANVAS, top=0)
    contrast = rng.uniform(0.3, 0.9)
    signal = np.exp(contrast * _grain(rng, rng.uniform(0.6, 2.0))) * rng.uniform(30, 90)
    for _ in _times(rng, 0, 6):
        cx, cy, r = rng.uniform(-0.6, 0.6), rng.uniform(0.15, 0.9), rng.uniform(0.05, 0.3)
        cyst = ((x - cx) / r) ** 2 + ((y - cy) / r / rng.uniform(0.5, 1)) ** 2 < 1
        signal = np.where(cyst, signal * rng.choice([0.1, 0.3, 2.0]), signal)
    for _ in _times(rng, 0, 5):
        depth = rng.uniform(0.05, 0.9) + rng.normal(0, 0.15) * x + rng.normal(0, 0.1) * x**2
        bright, width = rng.uniform(60, 200), rng.uniform(0.01, 0.04)
        signal = signal + bright * np.exp(-(((y - depth) / width) ** 2))
    signal *= np.exp(rng.normal(0, 0.4, signal.shape))
    apex, spread = rng.uniform(-0.6, 0.0), rng.uniform(0.4, 1.3)
    far = np.hypot(x, y - apex)
    fan = (np.abs(x) < spread * (y - apex)) & (far < rng.uniform(0.9, 1.4))
    fan &= far > rng.uniform(0, 0.3)
    return np.where(fan, signal, 0.0) if rng.random() < 0.7 else signal


def layers(rng: np.random.Generator) -> np.ndarray:
    """Draw optical coherence tomography: bright wavy bands with speckle below a dark gap."""
    y, x = _grid(CANVAS, top=0)
    surface = rng.uniform(0.2, 0.6) + rng.normal(0, 0.1) * x + rng.normal(0, 0.15) * x**2
    surface -= rng.uniform(-0.1, 0.2) * np.exp(-((x / 0.2) ** 2))
    image, depth = np.full(x.shape, rng.uniform(5, 60)), 0.0
    for _ in _times(rng, 2, 7):
        width = rng.uniform(0.02, 0.1)
        band = (y > surface + depth) & (y < surface + depth + width)
        image = np.where(band, rng.uniform(40, 230), image)
        depth += width
    return np.asarray(image + rng.normal(0, rng.uniform(5, 35), x.shape))


def joint(rng: np.random.Generator) -> np.ndarray:
    """Draw two long bones that meet, as knees and elbows show in radiographs."""
    image, draw = _canvas(rng.uniform(0, 40))
    flesh, bone, middle = _level(rng, 50, 120), _level(rng, 140, 250), rng.uniform(50, 78)
    legs = (64,) if rng.random() < 0.6 else (32, 96)
    scale = 1.0 if len(legs) == 1 else 0.5
    for cx in legs:
        w = scale * rng.uniform(35, 60)
        draw.rectangle([cx - w, 0, cx + w, CANVAS], fill=flesh)
        shaft, end = scale * rng.uniform(12, 22), scale * rng.uniform(26, 40)
        draw.rectangle([cx - shaft, 0, cx + shaft, middle - 10], fill=bone)
        draw.rectangle([cx - shaft, middle + 10, cx + shaft, CANVAS], fill=bone)
        for x in (cx - end * 0.45, cx + end * 0.45):
            draw.ellipse([x - end * 0.6, middle - 24, x + end * 0.6, middle - 2], fill=bone)
        draw.rounded_rectangle([cx - end, middle + 2, cx + end, middle + 20], 6, fill=bone)
    turned = _blurred(image, rng, 1, 5).rotate(rng.uniform(-25, 25))
    return np.asarray(np.asarray(turned) + 6 * _grain(rng, 1.4))


def column(rng: np.random.Generator) -> np.ndarray:
    """Draw a curved row of blocks: spines, teeth and fingers of no hand."""
    image, draw = _canvas(rng.uniform(0, 90))
    n, x = int(rng.integers(4, 14)), rng.uniform(40, 88)
    drift, level = rng.normal(0, 4), rng.uniform(110, 250)
    step, width = CANVAS / n, rng.uniform(9, 30)
    if rng.random() < 0.5:
        draw.rectangle([x - width * 1.9, 0, x + width * 1.9, CANVAS], fill=_level(rng, 40, 110))
    for k in range(n + 1):
        x += drift + rng.normal(0, 1)
        drift += rng.normal(0, 1)
        block = [x - width, k * step, x + width, k * step + step * rng.uniform(0.55, 0.9)]
        draw.rounded_rectangle(block, 3, fill=int(level + rng.normal(0, 10)))
        if rng.random() < 0.6:
            spur = [x + width, k * step + step / 2, x + width * 1.8, k * step + step]
            draw.line(spur, fill=int(level * 0.8), width=3)
    soft = _blurred(image, rng, 0.5, 3)
    turned = soft.rotate(float(rng.choice([0, 90])) + rng.uniform(-20, 20))
    return np.asarray(np.asarray(turned) + 6 * _grain(rng, 1.4))


MAKERS: Final[tuple[Maker, ...]] = (
    *(dead_leaves, document, clouds, screenshot, tissue, plot, landscape, ultrasound, joint),
    *(objects, white_noise, face, skin, dead_leaves, column, fundus, glyph, gradient, layers),
    *(pattern, blank),
)
