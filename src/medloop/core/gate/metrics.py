"""Scores of one model's answers: accuracy by class, confusion, calibration.

numpy in, plain values out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

BINS: Final = 15  # of equal width, as in Guo et al. 2017


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Scores of a class. Rates are 0 if nothing was there to count."""

    label: str
    n: int  # images of this class
    recall: float
    precision: float
    f1: float


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Answers of similar confidence: how sure they were, how often they were right."""

    low: float
    high: float
    n: int
    confidence: float  # mean
    accuracy: float


def per_class(y_true: np.ndarray, y_pred: np.ndarray, labels: Sequence[str]) -> list[ClassScore]:
    """Score each class; `y_true` and `y_pred` index `labels` (-1: none of these)."""
    precision, recall, f1, support = precision_recall_fscore_support(
        y_true, y_pred, labels=range(len(labels)), zero_division=0.0
    )
    columns = zip(labels, support, recall, precision, f1, strict=True)
    return [
        ClassScore(label, int(n), float(r), float(p), float(f)) for label, n, r, p, f in columns
    ]


def confusion(y_true: np.ndarray, y_pred: np.ndarray, n_classes: int) -> np.ndarray:
    """Count answers [C, C]: rows are the truth. -1 ("none of these") is left out."""
    return np.asarray(confusion_matrix(y_true, y_pred, labels=range(n_classes)))


def reliability(confidence: np.ndarray, right: np.ndarray) -> list[ReliabilityBin]:
    """Bin answers by confidence, in equal widths; empty bins are left out."""
    index = np.clip((np.nan_to_num(confidence) * BINS).astype(int), 0, BINS - 1)
    return [
        ReliabilityBin(
            low=int(i) / BINS,
            high=(int(i) + 1) / BINS,
            n=int((index == i).sum()),
            confidence=float(confidence[index == i].mean()),
            accuracy=float(right[index == i].mean()),
        )
        for i in np.unique(index)
    ]


def expected_calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Average the distance of confidence from accuracy over images; NaN without any."""
    if len(confidence) == 0:
        return float("nan")
    parts = reliability(confidence, right)
    return sum(part.n * abs(part.confidence - part.accuracy) for part in parts) / len(confidence)
