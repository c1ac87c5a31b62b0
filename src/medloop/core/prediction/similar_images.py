"""The labelled images most like one: what the model has learned from, so that people can compare.

The page and `load_champion().nearest` both ask here. They say which data set, and how long its
embeddings are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from medloop.core.data.datasets import Dataset, scored
from medloop.core.data.splits import evenly
from medloop.core.prediction.predictor import Predictor

PER_CLASS: Final = 150  # enough to find a near relative, and embedded within a second


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImages:
    """Labelled images with their embeddings under one model version."""

    images: np.ndarray  # uint8 [N, 64, 64]
    labels: tuple[str, ...]  # of each image
    names: tuple[str, ...]  # of each image's file, in the data set
    dataset_id: str
    embeddings: np.ndarray  # float32 [N, D]


@dataclass(frozen=True, slots=True, eq=False)
class Neighbour:
    """A labelled image and its similarity."""

    pixels: np.ndarray  # uint8 [64, 64]
    label: str
    similarity: float  # cosine, -1 to 1
    name: str  # of its file, in the data set
    dataset_id: str


def build_reference(
    predictor: Predictor, dataset: Dataset, *, per_class: int = PER_CLASS
) -> LabelledImages:
    """Embed an even choice of every class, without blanks and doubles."""
    usable = np.flatnonzero(scored(dataset.images))
    chosen: list[int] = []
    for target in range(len(dataset.labels)):
        of_class = usable[dataset.targets[usable] == target]
        chosen += evenly(of_class, per_class).tolist()
    images = dataset.images[chosen]
    return LabelledImages(
        images=images,
        labels=tuple(dataset.labels[dataset.targets[index]] for index in chosen),
        names=tuple(dataset.names[index] for index in chosen),
        dataset_id=dataset.id,
        embeddings=predictor.predict_arrays(images).embedding,
    )


def neighbours(
    reference: LabelledImages, small: np.ndarray, embedding: np.ndarray, *, k: int = 5
) -> list[Neighbour]:
    """Find the `k` images most like `small` [64, 64] by its `embedding` [D], the most alike first.

    Itself is left out: it would be no news, and in the review queue it would give a honeypot's
    answer away.
    """
    others = np.flatnonzero((reference.images != small).any(axis=(1, 2)))
    found, similarities = nearest(embedding, reference.embeddings[others], k)
    return [
        Neighbour(
            pixels=reference.images[place],
            label=reference.labels[place],
            similarity=float(similarity),
            name=reference.names[place],
            dataset_id=reference.dataset_id,
        )
        for place, similarity in zip(others[found], similarities, strict=True)
    ]


def nearest(embedding: np.ndarray, index: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the rows of `index` [N, D] most like `embedding` [D], exactly: enough for 100,000 rows.

    Gives indices int64 [k] and cosine similarities float32 [k], the most similar first, ties by
    row. Fewer than k rows give as many as there are. A zero vector is like nothing (0).
    """
    if index.ndim != 2 or embedding.shape != (index.shape[1],):
        raise ValueError(
            f"embedding {embedding.shape} does not fit an index of shape {index.shape}"
        )
    norms = np.linalg.norm(index, axis=1) * np.linalg.norm(embedding)
    similarities = (index @ embedding / np.where(norms > 0, norms, 1.0)).astype(np.float32)
    order = np.argsort(-similarities, kind="stable")[: max(k, 0)].astype(np.int64)
    return order, similarities[order]


def unit(vectors: np.ndarray) -> np.ndarray:
    """Scale rows [N, D] to length one, float32, so that products are cosines; zeros stay zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)
