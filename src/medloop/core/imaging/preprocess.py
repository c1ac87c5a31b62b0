"""Reduction of a decoded grey image of any size to the model's 64×64.

Owns the only resize of the project; never imports torch.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from PIL import Image

PREPROCESSING_VERSION: Final = "2"
# Version 1 shrank with a box, which aliased; its models do as well with version 2.
READABLE_VERSIONS: Final = ("1", "2")
SIZE: Final = 64


def preprocess(image: np.ndarray, size: int = SIZE) -> np.ndarray:
    """Resize grey uint8 [H, W] of any size to uint8 [size, size].

    The longer side becomes `size`. The shorter one is padded with the median of the image's rim,
    which beat stretching and cropping on external images (docs/experiments.md): a stretched head
    is no head. Reductions weigh pixels by a triangle two output pixels wide, so that fine structure
    is averaged at any ratio. Enlargements are bilinear. An image of this size is not copied.

    Raises:
        ValueError: Not a grey uint8 image, or without pixels.
    """
    if image.dtype != np.uint8 or image.ndim != 2 or 0 in image.shape:
        raise ValueError(
            f"expected a grey uint8 image [H, W], got {image.dtype} of shape {image.shape}"
        )
    if image.shape == (size, size):
        return image
    resized = _resized(image, size)
    return (
        resized if resized.shape == (size, size) else _on_square(resized, size, _rim_level(image))
    )


def _resized(image: np.ndarray, size: int) -> np.ndarray:
    height, width = image.shape
    scale = size / max(height, width)
    target = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(image).resize(target, Image.Resampling.BILINEAR))


def _rim_level(image: np.ndarray) -> int:
    return int(np.median(np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])))


def _on_square(image: np.ndarray, size: int, level: int) -> np.ndarray:
    square = np.full((size, size), level, np.uint8)
    top, left = ((size - side) // 2 for side in image.shape)
    square[top : top + image.shape[0], left : left + image.shape[1]] = image
    return square
