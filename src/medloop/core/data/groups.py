"""Groups of near-duplicates, for data sets that come without.

They must not be split between training and test. Numbers on what this finds and what it misses are
in docs/data.md.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np

from medloop.core.data.datasets import BLANK_DISTANCE, CHUNK, background, exact_duplicates
from medloop.progress import Progress, silent

SIDE: Final = 16  # pixels of a descriptor's side
COMPONENTS: Final = 96  # principal components of a class, at most
IMAGES_PER_COMPONENT: Final = 10  # fewer cannot tell variance from chance
FLOOR: Final = 1e-3  # of the largest variance: smaller ones are noise and not blown up
SIMILAR: Final = 0.65  # cosine of whitened descriptors from which two images are linked
SMALL_CLASS: Final = 300  # fewer images are too few to whiten; then only
SIMILAR_PLAIN: Final = 0.97  # … in plain descriptors links
NEIGHBOURS: Final = 16  # links looked at per image
LARGEST_SHARE: Final = 0.1  # of a class: a group that chains beyond this is not joined further
BLOCK: Final = 1024  # rows of similarities at a time


def near_duplicate_groups(
    images: np.ndarray, *, targets: np.ndarray, progress: Progress = silent
) -> np.ndarray:
    """Group images [N, 64, 64]: int64 [N], numbers that come from the group's pixels alone.

    Images of one class are linked to their nearest neighbours, the most alike first, if their
    descriptors are alike: backgrounds removed, whitened within the class. What hangs together is a
    group. Exact duplicates share a group always, also across classes. The classes do not influence
    each other.
    """
    digests = np.array([_digest(image) for image in images], dtype=np.int64)
    first = exact_duplicates(images)
    groups = digests.copy()
    classes = np.unique(targets)
    for done, target in enumerate(classes, start=1):
        members = np.flatnonzero((targets == target) & (first == np.arange(len(images))))
        if len(members):
            roots = _clusters(shape_maps(images[members]))
            lowest = np.full(len(members), np.iinfo(np.int64).max)
            np.minimum.at(lowest, roots, digests[members])
            groups[members] = lowest[roots]
        progress(done / len(classes), "finding near-duplicates")
    return np.asarray(groups[first])


def _digest(image: np.ndarray) -> int:
    digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 2


def shape_maps(images: np.ndarray) -> np.ndarray:
    """Measure how far each place is from the image's background: float32 [N, 256]."""
    found = np.empty((len(images), SIDE * SIDE), dtype=np.float32)
    step = images.shape[1] // SIDE
    for start in range(0, len(images), CHUNK):
        pixels = images[start : start + CHUNK].reshape(-1, images[0].size).astype(np.int64)
        away = np.abs(pixels - background(pixels)[:, None])
        away[away <= BLANK_DISTANCE] = 0
        blocks = away.reshape(len(pixels), SIDE, step, SIDE, step)
        found[start : start + CHUNK] = blocks.mean(axis=(2, 4)).reshape(len(pixels), -1)
    return found


def _clusters(descriptors: np.ndarray) -> np.ndarray:
    """Give the lowest index of each row's group: int64 [N]."""
    small = len(descriptors) < SMALL_CLASS
    unit = _unit(descriptors - descriptors.mean(axis=0)) if small else _whitened(descriptors)
    rows, neighbours, similarities = _links(unit, at_least=SIMILAR_PLAIN if small else SIMILAR)
    order = np.lexsort((neighbours, rows, -similarities))
    parent, size = list(range(len(unit))), [1] * len(unit)
    largest = max(2.0, LARGEST_SHARE * len(unit))
    for a, b in zip(rows[order].tolist(), neighbours[order].tolist(), strict=True):
        a, b = sorted((_root(parent, a), _root(parent, b)))
        if a != b and size[a] + size[b] <= largest:
            parent[b] = a
            size[a] += size[b]
    return np.array([_root(parent, i) for i in range(len(unit))], dtype=np.int64)


def _root(parent: list[int], i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


def _whitened(descriptors: np.ndarray) -> np.ndarray:
    """Map to the class's principal components, of equal variance and length 1: float32 [N, C].

    What the images of a class have in common is gone: one threshold fits chest films, all alike,
    and CT slices.
    """
    centred = descriptors - descriptors.mean(axis=0)
    variances, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    n = min(COMPONENTS, len(descriptors) // IMAGES_PER_COMPONENT)
    kept, axes = variances[::-1][:n], axes[:, ::-1][:, :n]
    return _unit(centred @ (axes / np.sqrt(kept + FLOOR * max(float(kept[0]), 1e-6))))


def _unit(rows: np.ndarray) -> np.ndarray:
    lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    return np.asarray(rows / lengths, dtype=np.float32)


def _links(unit: np.ndarray, *, at_least: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find rows, neighbours and similarities of each row's nearest that are at least so similar."""
    k = min(NEIGHBOURS, len(unit) - 1)
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for start in range(0, len(unit), BLOCK):
        similarities = unit[start : start + BLOCK] @ unit.T
        rows = np.arange(len(similarities))
        similarities[rows, start + rows] = -2  # not itself
        nearest = np.argpartition(-similarities, max(k - 1, 0), axis=1)[:, :k]
        values = np.take_along_axis(similarities, nearest, axis=1)
        row, column = np.nonzero(values >= at_least)
        found.append((start + row, nearest[row, column], values[row, column]))
    a, b, s = (np.concatenate(column) for column in zip(*found, strict=True))
    return a, b, s
