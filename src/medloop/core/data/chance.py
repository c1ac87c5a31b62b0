"""Comparison of answers with guessing, for sets whose classes are of any size."""

from __future__ import annotations

import numpy as np


def balanced_accuracy(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Average the share found of each class, so that a rare one counts as much as a large one.

    Raises:
        ValueError: There are no images.
    """
    if len(y_true) == 0:
        raise ValueError("no images to score")
    return float(np.mean([np.mean(y_pred[y_true == c] == c) for c in np.unique(y_true)]))


def better_than_chance(y_true: np.ndarray, y_pred: np.ndarray) -> bool:
    """Tell if balanced accuracy is above guessing by two standard errors, or by half of the way.

    The second is for sets so small that not even perfect answers would do.
    """
    counts = np.unique(y_true, return_counts=True)[1]
    guessed = 1 / len(counts)
    error = float(np.sqrt((guessed * (1 - guessed) / counts).sum()) / len(counts))
    limit = min(guessed + 2 * error, (1 + guessed) / 2)
    return len(counts) == 1 or balanced_accuracy(y_true, y_pred) > limit
