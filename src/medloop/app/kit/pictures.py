"""Pictures for the screen: previews, thumbnails and the class activation map. No widgets."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from medloop.core.imaging.burnt_in import Region

PREVIEW_SIDE: Final = 768  # pixels; enough to judge
THUMBNAIL_SIDE: Final = 88
FRAME_COLOR: Final = (255, 214, 10)  # seen on black and on grey
FRAME_GAP: Final = 3  # pixels of the preview, so that the frame hides no letter
# Anchors of a heat scale whose brightness rises throughout: readable without colour vision.
HEAT: Final = np.array(
    [[0, 0, 40], [70, 10, 110], [170, 45, 100], [235, 110, 50], [252, 190, 60], [255, 250, 200]],
    float,
)


def preview_png(pixels: np.ndarray, *, side: int = PREVIEW_SIDE) -> bytes:
    """Write grey uint8 [H, W] as a PNG; shrink it if a side is longer than `side` pixels."""
    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return _png(image)


def framed_png(picture: bytes, regions: Iterable[Region], *, width: int) -> bytes:
    """Draw a thin frame around each region of a preview, as a new PNG.

    The preview is a PNG, perhaps reduced; `regions` and `width` are in the picture's own pixels.
    """
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    scale, draw = image.width / width, ImageDraw.Draw(image)
    for region in regions:
        left, top = round(region.left * scale) - FRAME_GAP, round(region.top * scale) - FRAME_GAP
        right = round((region.left + region.width) * scale) + FRAME_GAP
        bottom = round((region.top + region.height) * scale) + FRAME_GAP
        box = (
            max(left, 0),
            max(top, 0),
            min(right, image.width - 1),
            min(bottom, image.height - 1),
        )
        draw.rectangle(box, outline=FRAME_COLOR, width=2)
    return _png(image)


def thumbnail_url(pixels: np.ndarray) -> str:
    """Write a small square JPEG, padded with black, as a data URL."""
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    square = Image.new("L", (max(image.size),) * 2)
    square.paste(image, ((square.width - image.width) // 2, (square.height - image.height) // 2))
    buffer = io.BytesIO()
    square.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def overlay_png(picture: bytes, cam: np.ndarray, *, strength: float) -> bytes:
    """Lay a class activation map over a picture.

    Args:
        picture: PNG of the picture.
        cam: float32 [h, w], evidence by place in logits; only what is above zero is drawn.
        strength: 0 (picture alone) to 1 (heat alone, where there is the most evidence).
    """
    base = Image.open(io.BytesIO(picture)).convert("L")
    if max(base.size) < 256:  # a tiny picture would show the map as blocks
        scale = 256 / max(base.size)
        base = base.resize(
            (round(base.width * scale), round(base.height * scale)), Image.Resampling.BICUBIC
        )
    evidence = np.clip(cam.astype(np.float32), 0, None)
    evidence = evidence / evidence.max() if evidence.max() > 0 else evidence
    smooth = Image.fromarray(evidence, mode="F").resize(base.size, Image.Resampling.BICUBIC)
    heat = np.clip(np.asarray(smooth), 0, 1)
    alpha = (heat * strength)[..., None]
    grey = np.asarray(base, dtype=float)[..., None]
    return _png(
        Image.fromarray((grey * (1 - alpha) + _heat_colors(heat) * alpha).round().astype(np.uint8))
    )


def _heat_colors(values: np.ndarray) -> np.ndarray:
    """Map [H, W] in 0..1 to float [H, W, 3] in 0..255."""
    anchors = np.linspace(0, 1, len(HEAT))
    return np.stack([np.interp(values, anchors, HEAT[:, channel]) for channel in range(3)], axis=-1)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
