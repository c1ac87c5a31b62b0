"""From pixels with more than 8 bits to grey levels from 0 to 255."""

from __future__ import annotations

from typing import Final

import numpy as np

TAILS: Final = (0.5, 99.5)  # percentiles that become black and white
SAMPLES: Final = 1 << 20  # pixels that the percentiles are taken from, evenly spread
CHUNK: Final = 1 << 20  # pixels converted at once: bounds the floats in memory


def to_levels(values: np.ndarray) -> np.ndarray:
    """Grey levels uint8 [H, W] for a 16-bit, 32-bit or float image that does not say its range.

    What is no 8-bit image (see `narrowed`) uses a part of its range (12 bits in 16, HU with an offset, floats): the
    percentiles 0.5 and 99.5 become black and white, so that a few outliers cannot flatten the picture.
    """
    narrow = narrowed(values)
    return scale(values, *robust_range(values)) if narrow is None else narrow


def narrowed(values: np.ndarray) -> np.ndarray | None:
    """The 8-bit image uint8 that integers were widened from, or None.

    * Signed 8 bits keep their order: -128 is black.
    * Values that fit into 8 bits already are taken as they are.
    * Values that are all multiples of 257 are narrowed exactly.
    """
    if values.dtype == np.int8:
        return values.view(np.uint8) ^ 0x80
    if values.dtype.kind in "iu":
        low, high = int(values.min()), int(values.max())
        if low >= 0 and high <= 255:
            return values.astype(np.uint8)
        if low >= 0 and high <= 65_535 and not (values % 257).any():
            return (values // 257).astype(np.uint8)
    return None


def robust_range(values: np.ndarray) -> tuple[float, float]:
    """The percentiles `TAILS` of the finite values; 0 and 1 where there are none."""
    flat = values.reshape(-1)
    sample = flat[:: max(1, flat.size // SAMPLES)].astype(np.float64)
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(sample, TAILS)
    return (float(low), float(high)) if high > low else (float(sample.min()), float(sample.max()))


def scale(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Linear from `low` (0) to `high` (255), clipped; a range without extent gives black. NaN becomes black."""
    levels = np.zeros(values.shape, np.uint8)
    if not high > low:
        return levels
    flat_levels, flat_values = levels.reshape(-1), values.reshape(-1)
    for start in range(0, flat_values.size, CHUNK):
        chunk = flat_values[start : start + CHUNK].astype(np.float64)
        chunk = np.clip((chunk - low) * (255.0 / (high - low)), 0.0, 255.0)
        flat_levels[start : start + CHUNK] = np.rint(np.nan_to_num(chunk, nan=0.0)).astype(np.uint8)
    return levels
