"""Are the pictures that come in like those the model was tested on?

Pure: answers in, shares with intervals out.

A version's reference is its own answers to the base data set's test pictures, which no training
sees. What lies beyond 19 of 20 of those (less confidence, or further from every labelled picture)
is called odd: without drift about one picture in twenty is odd, whatever the version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from medloop.core.data.datasets import Dataset, scored
from medloop.core.data.splits import evenly
from medloop.core.monitoring.intervals import wilson_interval
from medloop.core.prediction.predictor import Predictor
from medloop.core.prediction.similar_images import unit

EXPECTED: Final = 0.05  # share of odd pictures where nothing drifts
PER_CLASS: Final = 150  # labelled pictures to compare with; more hardly change the distance
TESTED_PER_CLASS: Final = 100
LEAST: Final = 50  # pictures; of fewer no drift is told


@dataclass(frozen=True, slots=True, eq=False)
class DriftBaseline:
    """A model version's embeddings and answers for the base data set."""

    index: np.ndarray  # float32 [N, D]: embeddings of labelled pictures, of length 1
    confidences: np.ndarray  # float32 [M], of test pictures
    distances: np.ndarray  # float32 [M], of test pictures to the nearest in the index


@dataclass(frozen=True, slots=True)
class Drift:
    """The number of pictures that are odd in one respect, with the bounds of their share."""

    odd: int
    n: int
    low: float  # bounds of the share, 95 %
    high: float

    @property
    def is_alarm(self) -> bool:
        """Tell whether the share is surely more than twice that without drift."""
        return self.n >= LEAST and self.low > 2 * EXPECTED


def build_reference(predictor: Predictor, dataset: Dataset) -> DriftBaseline:
    """Embed an even choice of training pictures, and answer an even choice of test pictures."""
    parts = dataset.split()
    known = predictor.predict_arrays(dataset.images[_choice(dataset, parts.train, PER_CLASS)])
    tested = predictor.predict_arrays(
        dataset.images[_choice(dataset, parts.test, TESTED_PER_CLASS)]
    )
    index = unit(known.embedding)
    return DriftBaseline(index, tested.probabilities.max(1), distances(tested.embedding, index))


def distances(embeddings: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Measure cosine distances of embeddings [N, D] to the nearest of [M, D]: float32 [N]."""
    return np.asarray(1 - (unit(embeddings) @ index.T).max(1), dtype=np.float32)


def odd_confidence(values: Sequence[float], reference: DriftBaseline) -> Drift:
    """Count answers less sure than 19 of 20 to test pictures."""
    limit = float(np.quantile(reference.confidences, EXPECTED))
    return _drift(np.asarray(values) < limit)


def odd_distance(values: Sequence[float], reference: DriftBaseline) -> Drift:
    """Count pictures further from every labelled one than 19 of 20 test pictures."""
    limit = float(np.quantile(reference.distances, 1 - EXPECTED))
    return _drift(np.asarray(values) > limit)


def _drift(odd: np.ndarray) -> Drift:
    low, high = wilson_interval(int(odd.sum()), len(odd))
    return Drift(int(odd.sum()), len(odd), low, high)


def _choice(dataset: Dataset, part: np.ndarray, per_class: int) -> np.ndarray:
    """Choose evenly spread places of every class in `part`, without blanks and doubles."""
    chosen = []
    for target in range(len(dataset.labels)):
        of_class = part[dataset.targets[part] == target]
        spread = evenly(of_class, per_class)
        chosen.append(spread[scored(dataset.images[spread])])
    return np.concatenate(chosen)
