"""Detection of pictures in colour, of which the model sees the luminance alone."""

from __future__ import annotations

from typing import Final

import numpy as np
from PIL import Image

SIDE: Final = 64  # pixels; enough to see areas of colour, too few for the colour noise of JPEG
GREY_MODES: Final = ("1", "L", "LA", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")
NEUTRAL: Final = 128  # of Cb and Cr
HUES: Final = 12  # levels beside a tint: colours of their own
HUES_SHARE: Final = 0.05  # a viewer's coloured lines and buttons have at most a hundredth
STRONG: Final = 30  # levels; the blue of film and the yellow of old paper have less
STRONG_SHARE: Final = 0.25
WARNING: Final = (
    "This picture is in colour. medloop looks at its brightness alone, "
    "so it is never confident about such a picture."
)


def in_colour(image: Image.Image) -> bool:
    """Check whether a good part of the picture has hues of its own, or strong ones.

    A tint over everything (film, sepia, the white balance of a camera) does not count: hues in
    proportion to luminance have to be strong. Transparent parts count as black.
    """
    if image.mode in GREY_MODES:
        return False
    luminance, *chroma = np.asarray(_small(image), np.float64).reshape(-1, 3).T
    blue_and_red = np.stack(chroma, 1) - NEUTRAL
    known = np.stack([np.ones_like(luminance), luminance], 1)
    tint = known @ np.linalg.lstsq(known, blue_and_red, rcond=None)[0]
    hues = np.hypot(*(blue_and_red - tint).T) > HUES
    strong = np.hypot(*blue_and_red.T) > STRONG
    return bool(hues.mean() > HUES_SHARE or strong.mean() > STRONG_SHARE)


def _small(image: Image.Image) -> Image.Image:
    """Shrink a picture of any size to YCbCr of SIDE × SIDE, in little memory."""
    few = min(image.width, SIDE * 8), min(image.height, SIDE * 8)
    if few != image.size:
        image = image.resize(few, Image.Resampling.NEAREST)
    if image.mode != "YCbCr":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image.convert("RGBA"))
        image = image.convert("RGB").convert("YCbCr")
    return image.resize((SIDE, SIDE), Image.Resampling.BOX)
