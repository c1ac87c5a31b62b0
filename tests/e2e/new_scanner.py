"""A scanner that the first model has never seen: one deterministic change of training images that
it gets wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from medloop.core.data.datasets import Dataset, blank
from medloop.core.data.splits import split
from medloop.core.imaging.decode import encode_png
from medloop.core.prediction.predictor import Predictor

CANDIDATES: Final[
    Mapping[str, Callable[[np.ndarray], np.ndarray]]
] = {  # uint8 [64, 64] to the same
    "negative, upside down": lambda image: 255 - np.flipud(image),
    "negative, a quarter turned": lambda image: 255 - np.rot90(image),
    "wrapped by half": lambda image: np.roll(image, (32, 32), axis=(0, 1)),
    "two fields interlaced": lambda image: np.concatenate([image[::2], image[1::2]]),
    "four small ones on one film": lambda image: np.tile(image[::2, ::2], (2, 2)),
    "solarised": lambda image: np.abs(image.astype(np.int16) * 2 - 255).astype(np.uint8),
}
POOL: Final = 25  # images a class to choose from


@dataclass(frozen=True)
class Scan:
    """One image of the new scanner."""

    name: str  # of its file; does not give the answer away
    label: str  # what it shows
    png: bytes


def scans_that_fool(predictor: Predictor, base: Dataset, *, count: int) -> list[Scan]:
    """`count` images of the candidate that fools the model most, from all classes that it gets
    wrong in turn.

    Only training images of the base data set: its test images stay unseen.
    """
    places = _training_places(base)
    labels = np.array(base.labels)[base.targets[places]]
    fooled = {}
    for name, change in CANDIDATES.items():
        images = np.stack([np.ascontiguousarray(change(base.images[place])) for place in places])
        answered = np.array(predictor.metadata.labels)[
            predictor.predict_arrays(images).probabilities.argmax(axis=1)
        ]
        fooled[name] = images, np.flatnonzero(answered != labels)
    images, wrong = max(fooled.values(), key=lambda found: len(found[1]))
    assert len(wrong) >= count, (
        f"the first model is too good: { ({n: len(w) for n, (_, w) in fooled.items()}) }"
    )
    turn = [
        list(labels[wrong][:i]).count(labels[wrong][i]) for i in range(len(wrong))
    ]  # a class's first, second …
    chosen = wrong[np.argsort(turn, kind="stable")][:count]
    return [
        Scan(f"scan-{i:02}.png", str(labels[place]), encode_png(images[place]))
        for i, place in enumerate(chosen)
    ]


def _training_places(base: Dataset) -> np.ndarray:
    """Up to POOL training images a class, spread over the data set."""
    training = split(base.targets, base.groups).train
    training = training[~blank(base.images[training])]
    by_class = [training[base.targets[training] == target] for target in range(len(base.labels))]
    return np.concatenate(
        [rows[np.linspace(0, len(rows) - 1, min(POOL, len(rows))).astype(int)] for rows in by_class]
    )
