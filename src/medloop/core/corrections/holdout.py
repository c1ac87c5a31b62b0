"""Chooses the tenth of the corrections that is never trained on, by what the image looks like.

The choice is stable for ever and knows no order, so that a correction can't move from the held-out
tenth into training when more arrive. It changes only with `preprocess`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

BLOCKS: Final = 8  # blocks a side of the hash
STEP: Final = 2.0  # grey levels between blocks that count: less is noise of compression
SHARE: Final = 10  # one in so many
TWIN_BLOCK: Final = 4  # pixels a side of the blocks that twins are compared by
# Correlation from which two images count as one. In Medical MNIST's sample the nearest image of
# another examination reaches it in 0 to 1.4 % of cases by class, the nearest of the same one in a
# third where slices lie close together.
TWIN: Final = 0.98
# Pixels that a copy may be moved by. Of 300 test pictures in each of six changes 0.8 % reach TWIN
# with one of another examination that way, 0 % where nothing is moved.
SHIFT: Final = 4
ROWS: Final = 4096  # and columns of correlations at a time: 64 MiB


def look(images: np.ndarray) -> np.ndarray:
    """Hash what images look like, coarsely: uint8 [N, 64, 64] to uint64 [N].

    A bit for each of 8×8 blocks: whether the block to its right, around the edge, is brighter.
    """
    size = images.shape[1] // BLOCKS
    means = images.reshape(-1, BLOCKS, size, BLOCKS, size).mean(axis=(2, 4), dtype=np.float32)
    bits = (np.roll(means, -1, axis=2) - means) > STEP
    return (
        np.packbits(bits.reshape(-1, BLOCKS * BLOCKS), axis=1).view(">u8")[:, 0].astype(np.uint64)
    )


def is_holdout(images: np.ndarray) -> np.ndarray:
    """Tell which of uint8 [N, 64, 64] are held out: bool [N]."""
    digests = (
        hashlib.sha256(b"holdout" + int(value).to_bytes(8, "big")).digest()
        for value in look(images)
    )
    return np.array(
        [int.from_bytes(digest[:8], "big") % SHARE == 0 for digest in digests], dtype=bool
    )


def twins(images: np.ndarray, heldout: np.ndarray) -> np.ndarray:
    """Tell which of uint8 [N, 64, 64] are nearly one of the held-out pictures: bool [N]."""
    found = np.zeros(len(images), dtype=bool)
    if len(heldout) == 0:
        return found
    against = shapes(heldout).T
    for start in range(0, len(images), ROWS):
        rows = shapes(images[start : start + ROWS])
        for other in range(0, len(heldout), ROWS):
            found[start : start + ROWS] |= (rows @ against[:, other : other + ROWS]).max(
                axis=1
            ) >= TWIN
    return found


def copies(images: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Tell which of uint8 [N, 64, 64] equal one `of` [K, 64, 64], or are its twin: bool [N].

    A flat image has no twins, but equals.
    """
    if len(of) == 0:
        return np.zeros(len(images), dtype=bool)
    known = set(_digests(of))
    same = np.array([digest in known for digest in _digests(images)], dtype=bool)
    return np.asarray(same | twins(images, of))


def _digests(images: np.ndarray) -> Iterator[bytes]:
    return (
        hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
        for image in images
    )


def twin_groups(images: np.ndarray) -> np.ndarray:
    """Group uint8 [N, 64, 64]: int64 [N], the place of each group's first image.

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
    """Compute block means without brightness and contrast: [N, 64, 64] to float32 [N, 256].

    They have length 1; a flat image's are zero.
    """
    side = images.shape[1] // TWIN_BLOCK
    strips = images.reshape(len(images), side, TWIN_BLOCK, images.shape[2]).sum(
        axis=2, dtype=np.uint16
    )
    sums = strips.reshape(len(images), side * side, TWIN_BLOCK).sum(axis=2, dtype=np.uint16)
    rows = sums.astype(np.float32) / TWIN_BLOCK**2  # exact, and quicker than a mean over two axes
    rows -= rows.mean(axis=1, keepdims=True)
    return np.asarray(
        rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-3), dtype=np.float32
    )


def within(images: np.ndarray) -> np.ndarray:
    """Cut off a rim of `SHIFT` pixels: [N, 64, 64] to [N, 56, 56]."""
    return images[:, SHIFT:-SHIFT, SHIFT:-SHIFT]


def shifted_shapes(image: np.ndarray) -> np.ndarray:
    """Compute `shapes` of [64, 64] moved by up to `SHIFT` pixels each way: float32 [81, 196]."""
    side = len(image) - 2 * SHIFT
    return shapes(sliding_window_view(image, (side, side)).reshape(-1, side, side))
