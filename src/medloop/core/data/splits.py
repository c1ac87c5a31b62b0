"""Training, validation and test images, by whole group. Pure and deterministic; no random state."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

SHARE: Final = 0.1  # of a class's images for test, and for validation; the rest is for training
LARGEST: Final = 0.75  # of a part's target: no larger group goes there, so two or more make it up
TRAIN, VALIDATION, TEST = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Split:
    """Indices into the data set, int64, ascending, disjoint, together everything."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split(
    targets: np.ndarray,
    groups: np.ndarray,
    *,
    seed: int = 0,
    placed: Mapping[int, int] | None = None,
) -> Split:
    """Split about 80, 10 and 10 % of each class's images, no group in two parts.

    Each class is split by itself: its groups in the order of a hash of their ids. Each goes to
    test, then to validation, if that brings the part nearer to its tenth and the group is not most
    of it. A part that stays empty gets the smallest group that is left, so three groups are enough
    for one in each part. Of two, the larger is for training and the other for test; a single one is
    for training. Another class's images change nothing, unless a group spans classes: then it goes
    whole where the first of its classes puts it. `placed` groups go where another data set has put
    them.
    """
    parts = dict(placed or {})
    for target in np.unique(targets):
        ids, sizes = np.unique(groups[targets == target], return_counts=True)
        size_of = {int(group): int(size) for group, size in zip(ids, sizes, strict=True)}
        _place(size_of, parts, seed)
    part_of = np.array([parts[int(group)] for group in groups], dtype=np.int64)
    return Split(*(np.flatnonzero(part_of == part) for part in (TRAIN, VALIDATION, TEST)))


def _place(sizes: dict[int, int], parts: dict[int, int], seed: int) -> None:
    """Add each group of one class to `parts`; `sizes` are its images by group."""
    free = sorted(sizes.keys() - parts.keys(), key=lambda group: _rank(group, seed))
    target = SHARE * sum(sizes.values())
    for part, reserve in ((TEST, 2), (VALIDATION, 1)):  # reserve: groups for the rest
        placed = sum(size for group, size in sizes.items() if parts.get(group) == part)
        for group in list(free):
            nearer = sizes[group] < 2 * (target - placed)
            if nearer and sizes[group] <= LARGEST * target and len(free) > reserve:
                parts[group] = part
                placed += sizes[group]
                free.remove(group)
        trains = any(parts.get(group) == TRAIN for group in sizes)
        if not placed and len(free) > (0 if trains else 1):
            smallest = min(free, key=lambda group: sizes[group])
            parts[smallest] = part
            free.remove(smallest)
    parts.update(dict.fromkeys(free, TRAIN))


def evenly(rows: np.ndarray, n: int) -> np.ndarray:
    """Choose `n` rows evenly, the first and the last among them; all if there are fewer."""
    return np.asarray(rows[np.linspace(0, len(rows) - 1, min(n, len(rows))).astype(np.int64)])


def _rank(group: int, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{group}".encode()).digest()
