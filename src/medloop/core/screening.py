"""What makes a correction look wrong. Each finding is a reason in words, for a reviewer.

A model that disagrees is no such reason: most corrections of use are ones that the model contradicts. So corrections
are compared with labelled pictures that look the same, and with what other people said of similar ones; only where a
model has not seen an image in training (`unlikely_labels`) may its opinion count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from medloop.core.holdout import TWIN

NEIGHBOURS: Final = 5
MAJORITY: Final = 4  # of the neighbours, that must agree on another label
SIMILAR: Final = 0.8  # cosine from which a neighbour counts as one
ROWS: Final = 256  # of similarities at a time: 200,000 columns are 200 MiB then
Label = str | None


def look_alikes(
    looks: np.ndarray,
    labels: Sequence[Label],
    *,
    index: np.ndarray,
    index_labels: Sequence[Label],
    own: np.ndarray | None = None,
) -> list[str]:
    """For each image, a reason if its closest look-alike bears another label; "" if not.

    Args:
        looks: float [N, D] of length 1, by `medloop.core.holdout.shapes`.
        labels: What people said, N.
        index: The same of labelled images to compare with, float [M, D].
        index_labels: Their labels, M.
        own: Where each image is itself in the index, int [N], if it is.
    """
    reasons = [""] * len(looks)
    if len(index) == 0:
        return reasons
    for start in range(0, len(looks), ROWS):
        similarities = looks[start : start + ROWS] @ index.T
        if own is not None:
            similarities[np.arange(len(similarities)), own[start : start + ROWS]] = -1
        for row, column in enumerate(similarities.argmax(axis=1)):
            other = index_labels[column]
            if similarities[row, column] >= TWIN and other != labels[start + row]:
                reasons[start + row] = f"nearly the same picture is known as {named(other)}"
    return reasons


def neighbour_disagreement(
    embeddings: np.ndarray, labels: Sequence[Label], *, index: np.ndarray, index_labels: Sequence[Label]
) -> list[str]:
    """For each image, a reason if most of the corrections nearest to it agree on another label; "" if not.

    Args:
        embeddings: float [N, D] of length 1.
        labels: What people said, N.
        index: The same of other corrections that count, best by other people, float [M, D].
        index_labels: Their labels, M.
    """
    reasons = [""] * len(embeddings)
    if len(index) < NEIGHBOURS:
        return reasons
    for start in range(0, len(embeddings), ROWS):
        for row, similarities in enumerate(embeddings[start : start + ROWS] @ index.T, start=start):
            nearest = np.argpartition(-similarities, NEIGHBOURS - 1)[:NEIGHBOURS]
            others = [index_labels[column] for column in nearest if similarities[column] >= SIMILAR]
            most = max(set(others), key=lambda label: (others.count(label), named(label)), default=labels[row])
            if labels[row] not in others and others.count(most) >= MAJORITY:
                reasons[row] = f"{others.count(most)} of the {NEIGHBOURS} most similar corrections say {named(most)}"
    return reasons


def unlikely_labels(
    probabilities: np.ndarray, targets: np.ndarray, *, known: np.ndarray, known_targets: np.ndarray
) -> np.ndarray:
    """Labels that a model which did not train on these images contradicts: bool [N].

    Confident learning (Northcutt, Jiang, Chuang, JAIR 2021): a class is believed when its probability reaches the mean
    that the class has where it is right. Contradicted is a label that is not believed while another one is.

    Args:
        probabilities: float [N, C], out of sample.
        targets: int [N], the labels in question.
        known: float [M, C], probabilities of images whose labels are trusted.
        known_targets: int [M].
    """
    classes = probabilities.shape[1]
    thresholds = np.array(
        [known[known_targets == c, c].mean() if (known_targets == c).any() else 1.0 for c in range(classes)]
    )
    believed = probabilities >= thresholds
    own = believed[np.arange(len(targets)), targets]
    return np.asarray(believed.any(axis=1) & ~own)


def named(label: Label) -> str:
    """A label for people."""
    return "none of these" if label is None else label
