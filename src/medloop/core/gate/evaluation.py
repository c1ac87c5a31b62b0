"""Runs models on held-out images and sorts their answers into what the gate looks at.

onnxruntime and numpy only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from medloop.core import none_of_these
from medloop.core.data.chance import balanced_accuracy
from medloop.core.gate.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from medloop.core.gate.metrics import (
    ClassScore,
    ReliabilityBin,
    confusion,
    expected_calibration_error,
    per_class,
    reliability,
)
from medloop.core.prediction.predictor import Predictor

# Images in the corruption slice: most errors that the gate sees are made here, and they are cheap.
N_CORRUPTED: Final = 6000
LATENCY_ROUNDS: Final = 60


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Answers of a model, an entry per image."""

    predicted: np.ndarray  # str [N]: the likeliest class
    confidence: np.ndarray  # float [N]
    unknown: np.ndarray  # bool [N]: said to be none of the classes
    confident: np.ndarray  # bool [N]

    def right(self, classes: np.ndarray) -> np.ndarray:
        """Tell where the likeliest class is the true one (str [N]): bool [N]."""
        return np.asarray(self.predicted == classes)

    def useful(self, classes: np.ndarray) -> np.ndarray:
        """Tell where a person learns the truth, "unknown" if it is no class: bool [N]."""
        return np.asarray(
            np.where(
                classes == none_of_these.CLASS, self.unknown, self.right(classes) & ~self.unknown
            )
        )


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Scores of a model on the base test images."""

    n: int
    accuracy: float
    balanced_accuracy: float
    ece: float
    confident_share: float
    confident_errors: float  # share of wrong answers among the confident ones; 0 without any
    classes: tuple[ClassScore, ...]
    confusion: np.ndarray  # int [C, C], rows are the truth
    reliability: tuple[ReliabilityBin, ...]


def answer(predictor: Predictor, images: np.ndarray) -> Answers:
    """Ask a model about preprocessed images uint8 [N, 64, 64]."""
    raw = predictor.predict_arrays(images)
    verdicts = np.array(predictor.verdicts(raw))
    return Answers(
        predicted=np.array(predictor.metadata.labels)[raw.probabilities.argmax(1)],
        confidence=raw.probabilities.max(1).astype(np.float64),
        unknown=verdicts == "unknown",
        confident=verdicts == "confident",
    )


def score(answers: Answers, classes: np.ndarray, labels: Sequence[str]) -> Scores:
    """Score answers on images whose classes are all among `labels`.

    Raises:
        ValueError: There are no images.
    """
    index = {label: i for i, label in enumerate(labels)}
    y_true = np.array([index[label] for label in classes], dtype=np.int64)
    y_pred = np.array([index.get(label, -1) for label in answers.predicted], dtype=np.int64)
    right = answers.right(classes)
    confident = int(answers.confident.sum())
    return Scores(
        n=len(classes),
        accuracy=float(right.mean()),
        balanced_accuracy=balanced_accuracy(y_true, y_pred),
        ece=expected_calibration_error(answers.confidence, right),
        confident_share=float(answers.confident.mean()),
        confident_errors=float((~right[answers.confident]).mean()) if confident else 0.0,
        classes=tuple(per_class(y_true, y_pred, labels)),
        confusion=confusion(y_true, y_pred, len(labels)),
        reliability=tuple(reliability(answers.confidence, right)),
    )


def corrupted(images: np.ndarray, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Corrupt the images in every way in turn: (uint8 [M, 64, 64], index of each one's original).

    Kinds and severities take turns; few images come round more than once. The same images give the
    same pixels.
    """
    chosen = np.arange(N_CORRUPTED) % len(images)
    if len(images) > N_CORRUPTED:
        chosen = np.linspace(0, len(images) - 1, N_CORRUPTED).astype(np.int64)
    names = sorted(CORRUPTIONS)
    kinds = np.arange(N_CORRUPTED) % (len(names) * len(SEVERITIES))
    out = np.empty_like(images[chosen])
    for kind in np.unique(kinds):
        name, severity = names[kind % len(names)], SEVERITIES[kind // len(names)]
        out[kinds == kind] = corrupt(images[chosen[kinds == kind]], name, severity, seed)
    return out, chosen


def latency_ms(
    predictors: Sequence[Predictor],
    image: np.ndarray,
    *,
    clock: Callable[[], float],
    rounds: int = LATENCY_ROUNDS,
) -> list[float]:
    """Measure one image's median time per predictor, in turns: a busy machine is busy for all."""
    times = np.zeros((rounds, len(predictors)))
    for i in range(rounds):
        for j, predictor in enumerate(predictors):
            started = clock()
            predictor.predict_arrays(image[None])
            times[i, j] = clock() - started
    return [float(value) for value in np.median(times, axis=0) * 1000]


def golden_error(predictor: Predictor, images: np.ndarray, probabilities: np.ndarray) -> float:
    """Measure the largest difference from recorded probabilities; infinite if shapes differ."""
    found = predictor.predict_arrays(images).probabilities
    if found.shape != probabilities.shape or len(found) == 0:
        return float("inf")
    return float(np.abs(found - probabilities).max())
