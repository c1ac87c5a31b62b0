"""Masks of what is written and drawn over medical images: text, markers, rulers, scratches."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

N_OVERLAYS: Final = 400
SIZE: Final = 64
LETTERS: Final = np.array(list("ABCDEFGHIKLMNOPRSTUVWXYZ0123456789:/.- "))


@cache
def overlays() -> torch.Tensor:
    """Draw uint8 [400, 64, 64], 255 where something is drawn; always the same."""
    rng = np.random.default_rng(0x0E)
    drawings = (_write, _mark, _draw_ruler, _draw_lines)
    masks = []
    for i in range(N_OVERLAYS):
        image = Image.new("L", (2 * SIZE, 2 * SIZE))
        drawings[i % len(drawings)](ImageDraw.Draw(image), rng)
        masks.append(np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BOX)))
    return torch.from_numpy(np.stack(masks))


def _write(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    font = ImageFont.load_default(size=float(rng.uniform(9, 26)))
    for _ in range(int(rng.integers(1, 5))):
        words = "".join(rng.choice(LETTERS, int(rng.integers(2, 16))))
        draw.text((rng.uniform(-10, 90), rng.uniform(-4, 116)), words, fill=255, font=font)


def _mark(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    font = ImageFont.load_default(size=float(rng.uniform(14, 48)))
    for _ in range(int(rng.integers(1, 3))):
        x, y = rng.choice([rng.uniform(0, 20), rng.uniform(90, 115)]), rng.uniform(0, 100)
        draw.text((x, y), str(rng.choice(LETTERS[:-5])), fill=255, font=font)
        if rng.random() < 0.3:
            draw.ellipse([x - 4, y, x + 30, y + 34], outline=255, width=int(rng.integers(1, 4)))


def _draw_ruler(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    x, step = rng.uniform(2, 124), rng.uniform(5, 16)
    for k in np.arange(rng.uniform(0, 40), rng.uniform(80, 128), step):
        draw.line([x, k, x + rng.uniform(4, 9), k], fill=255, width=2)
    if rng.random() < 0.5:
        draw.line([x, 0, x, 128], fill=255, width=2)


def _draw_lines(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(1, 9))):
        ends = [float(v) for v in rng.uniform(0, 128, 4)]
        draw.line(ends, fill=255, width=int(rng.integers(2, 5)))
