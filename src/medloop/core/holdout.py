"""Which corrections are never trained on: a tenth, chosen by what the image looks like and by nothing else.

The choice is stable for ever and knows no order, so that a correction can't move from the held-out tenth into training
when more arrive. It changes only with `preprocess`.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np

BLOCKS: Final = 8  # blocks a side of the hash
STEP: Final = 2.0  # grey levels that a block must differ from its neighbour: below is noise of compression
SHARE: Final = 10  # one in so many
TWIN_SIDE: Final = 16
# Correlation from which two images count as one. In Medical MNIST's sample the nearest image of another examination
# reaches it in 0 to 1.4 % of cases by class, the nearest of the same one in a third where slices lie close together.
TWIN: Final = 0.98
ROWS: Final = 4096  # of correlations at a time


def look(images: np.ndarray) -> np.ndarray:
    """A coarse perceptual hash, 64 bits: uint8 [N, 64, 64] to uint64 [N].

    A bit for each of 8×8 blocks: whether the block to its right, around the edge, is brighter.
    """
    size = images.shape[1] // BLOCKS
    means = images.reshape(-1, BLOCKS, size, BLOCKS, size).mean(axis=(2, 4), dtype=np.float32)
    bits = (np.roll(means, -1, axis=2) - means) > STEP
    return np.packbits(bits.reshape(-1, BLOCKS * BLOCKS), axis=1).view(">u8")[:, 0].astype(np.uint64)


def is_holdout(images: np.ndarray) -> np.ndarray:
    """Whether each of uint8 [N, 64, 64] is held out: bool [N]."""
    digests = (hashlib.sha256(b"holdout" + int(value).to_bytes(8, "big")).digest() for value in look(images))
    return np.array([int.from_bytes(digest[:8], "big") % SHARE == 0 for digest in digests], dtype=bool)


def twins(images: np.ndarray, heldout: np.ndarray) -> np.ndarray:
    """Whether each of uint8 [N, 64, 64] is nearly the same picture as one of the held-out ones: bool [N]."""
    if len(heldout) == 0:
        return np.zeros(len(images), dtype=bool)
    against = shapes(heldout).T
    found = [
        (shapes(images[start : start + ROWS]) @ against).max(axis=1) >= TWIN for start in range(0, len(images), ROWS)
    ]
    return np.concatenate(found) if found else np.zeros(0, dtype=bool)


def twin_groups(images: np.ndarray) -> np.ndarray:
    """A group for each of uint8 [N, 64, 64]: int64 [N], the place of its first image.

    Images of one group are twins, or linked by twins: slices of one scan that lie close together.
    """
    rows = shapes(images)
    groups = np.full(len(rows), -1)
    for first in range(len(rows)):
        waiting = [first] if groups[first] < 0 else []
        while waiting:
            here = waiting.pop()
            groups[here] = first
            near = np.flatnonzero((rows @ rows[here] >= TWIN) & (groups < 0))
            groups[near] = first
            waiting.extend(near.tolist())
    return groups


def shapes(images: np.ndarray) -> np.ndarray:
    """Block means without brightness and contrast, of length 1: float32 [N, 256]. A flat image becomes zero."""
    size = images.shape[1] // TWIN_SIDE
    means = images.reshape(-1, TWIN_SIDE, size, TWIN_SIDE, size).mean(axis=(2, 4), dtype=np.float32)
    rows = means.reshape(len(images), TWIN_SIDE * TWIN_SIDE)
    rows -= rows.mean(axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-3), dtype=np.float32)
