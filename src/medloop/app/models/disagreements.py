"""Test pictures on which two versions disagree: what a new version won and lost, as pictures.

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from medloop.app.kit.wording import class_name
from medloop.core.data.datasets import Dataset, scored
from medloop.core.prediction.predictor import Predictor

MOST: Final = 24  # pictures of one outcome that are shown


@dataclass(frozen=True, slots=True, eq=False)
class Disagreement:
    """A test picture and the two answers."""

    pixels: np.ndarray  # uint8 [64, 64]
    truth: str
    old: str
    new: str

    @property
    def outcome(self) -> str:
        """Tell if the new version won or lost it."""
        if self.new == self.truth:
            return "gained"
        return "lost" if self.old == self.truth else "both wrong"


def disagreements(old: Predictor, new: Predictor, dataset: Dataset) -> list[Disagreement]:
    """List scored test pictures with two different answers: lost, then gained, then the rest."""
    test = dataset.split().test
    test = test[scored(dataset.images[test])]
    images = dataset.images[test]
    answers = [
        np.array(model.metadata.labels)[model.predict_arrays(images).probabilities.argmax(1)]
        for model in (old, new)
    ]
    found = [
        Disagreement(
            images[i],
            dataset.labels[dataset.targets[test[i]]],
            str(answers[0][i]),
            str(answers[1][i]),
        )
        for i in np.flatnonzero(answers[0] != answers[1])
    ]
    return sorted(found, key=lambda item: ("lost", "gained", "both wrong").index(item.outcome))


def caption(item: Disagreement) -> str:
    """Write such as: is Hand: Chest CT → Hand."""
    return f"is {class_name(item.truth)}: {class_name(item.old)} → {class_name(item.new)}"
