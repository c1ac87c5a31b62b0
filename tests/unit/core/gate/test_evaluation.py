"""Sorting models' answers into what the gate looks at."""

from __future__ import annotations

import numpy as np
import pytest

from medloop.core import none_of_these
from medloop.core.gate.corruptions import CORRUPTIONS
from medloop.core.gate.evaluation import (
    Answers,
    corrupted,
    golden_error,
    score,
)


class Fixed:
    """A model with one answer for everything."""

    def __init__(self, probabilities: np.ndarray) -> None:
        self._probabilities = probabilities

    def predict_arrays(self, images: np.ndarray):
        return type("Raw", (), {"probabilities": np.tile(self._probabilities, (len(images), 1))})


def answers(predicted: list[str], unknown: list[bool] | None = None) -> Answers:
    n = len(predicted)
    flags = np.array(unknown or [False] * n)
    return Answers(np.array(predicted), np.full(n, 0.9), flags, ~flags)


def test_an_answer_is_useful_when_a_person_is_told_the_truth():
    given = answers(["CXR", "CXR", "Hand", "Hand"], [False, True, True, False])
    classes = np.array(["CXR", "CXR", none_of_these.CLASS, none_of_these.CLASS])
    assert given.useful(classes).tolist() == [True, False, True, False]
    assert given.right(classes).tolist() == [True, True, False, False]


def test_an_answer_that_the_labels_do_not_know_is_wrong_and_not_an_error():
    found = score(answers(["CXR", "Knee"]), np.array(["CXR", "Hand"]), ("CXR", "Hand"))
    assert found.accuracy == 0.5
    assert found.confusion.tolist() == [[1, 0], [0, 0]]


def test_without_confident_answers_there_are_no_confident_errors():
    found = score(answers(["Hand"], [True]), np.array(["CXR"]), ("CXR", "Hand"))
    assert found.confident_errors == 0.0
    assert found.confident_share == 0.0


def test_every_kind_of_corruption_takes_its_turn_and_the_pixels_are_always_the_same():
    images = np.random.default_rng(0).integers(0, 256, (40, 64, 64), dtype=np.uint8)
    changed, origin = corrupted(images)
    again, _ = corrupted(images)
    assert len(changed) > 5 * len(CORRUPTIONS)
    assert np.array_equal(changed, again)
    assert set(origin) == set(range(40))
    assert (changed != images[origin]).any(axis=(1, 2)).mean() > 0.9


def test_golden_answers_of_another_file_or_another_shape_do_not_pass():
    images = np.zeros((3, 64, 64), dtype=np.uint8)
    recorded = np.tile([0.7, 0.3], (3, 1))
    assert golden_error(Fixed(np.array([0.7, 0.3])), images, recorded) == pytest.approx(0.0)
    assert golden_error(Fixed(np.array([0.3, 0.7])), images, recorded) == pytest.approx(0.4)
    assert golden_error(Fixed(np.array([0.3, 0.3, 0.4])), images, recorded) == float("inf")
    assert golden_error(Fixed(np.array([0.7, 0.3])), images[:0], recorded[:0]) == float("inf")
