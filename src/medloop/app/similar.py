"""The labelled pictures most like one: what the model has learned from, so that a person can compare. No widgets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from medloop.core.datasets import Dataset, scored
from medloop.core.neighbours import nearest
from medloop.core.predict import Predictor

PER_CLASS: Final = 150  # enough to find a near relative, and embedded within a second


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Labelled pictures with their embeddings under one model version."""

    images: np.ndarray  # uint8 [N, 64, 64]
    labels: tuple[str, ...]  # of each picture
    embeddings: np.ndarray  # float32 [N, D]


@dataclass(frozen=True, slots=True, eq=False)
class Neighbour:
    """One labelled picture and how alike it is."""

    pixels: np.ndarray  # uint8 [64, 64]
    label: str
    similarity: float  # cosine, -1 to 1


def build_reference(predictor: Predictor, dataset: Dataset, *, per_class: int = PER_CLASS) -> Reference:
    """Embed an even choice of every class, without blanks and doubles."""
    usable = np.flatnonzero(scored(dataset.images))
    chosen: list[int] = []
    for target in range(len(dataset.labels)):
        of_class = usable[dataset.targets[usable] == target]
        places = np.linspace(0, len(of_class) - 1, min(per_class, len(of_class))).astype(int)
        chosen += of_class[places].tolist()
    images = dataset.images[chosen]
    labels = tuple(dataset.labels[dataset.targets[index]] for index in chosen)
    return Reference(images, labels, predictor.predict_arrays(images).embedding)


def neighbours(reference: Reference, small: np.ndarray, embedding: np.ndarray, *, k: int = 5) -> list[Neighbour]:
    """The `k` pictures most like `small` [64, 64] by its `embedding` [D], the most alike first, itself left out.

    Itself would be no news, and in the review queue it would give a honeypot's answer away.
    """
    others = np.flatnonzero((reference.images != small).any(axis=(1, 2)))
    found, similarities = nearest(embedding, reference.embeddings[others], k)
    places = others[found]
    return [
        Neighbour(reference.images[place], reference.labels[place], float(similarity))
        for place, similarity in zip(places, similarities, strict=True)
    ]
