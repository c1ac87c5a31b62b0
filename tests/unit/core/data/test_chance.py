"""Guessing is told from knowing, on even and uneven sets."""

from __future__ import annotations

import numpy as np
import pytest

from medloop.core.data.chance import balanced_accuracy, better_than_chance


def test_each_class_counts_the_same() -> None:
    y_true = np.repeat([0, 1], [98, 2])
    assert balanced_accuracy(y_true, np.zeros(100, int)) == 0.5
    with pytest.raises(ValueError, match="no images"):
        balanced_accuracy(np.zeros(0, int), np.zeros(0, int))


@pytest.mark.parametrize("sizes", [(60, 2), (10, 10, 10), (2, 2), (500, 500)])
def test_perfect_answers_are_better_and_one_answer_for_all_is_not(sizes: tuple[int, ...]) -> None:
    y_true = np.repeat(np.arange(len(sizes)), sizes)
    assert better_than_chance(y_true, y_true)
    assert not better_than_chance(y_true, np.zeros_like(y_true))


def test_random_answers_are_seldom_better_than_chance() -> None:
    rng = np.random.default_rng(0)
    y_true = np.repeat([0, 1, 2], 30)
    lucky = [better_than_chance(y_true, rng.integers(0, 3, 90)) for _ in range(300)]
    assert np.mean(lucky) < 0.05
