"""Scores of one model's answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from medloop.core.gate.metrics import (
    confusion,
    expected_calibration_error,
    per_class,
    reliability,
)
from medloop.core.monitoring.intervals import wilson_interval


def test_scores_of_a_class_without_images_are_zero_and_not_an_error():
    scores = per_class(np.array([0, 0, 1, -1]), np.array([0, 1, 1, 0]), ("CXR", "Hand", "Knee"))
    assert [(s.label, s.n) for s in scores] == [("CXR", 2), ("Hand", 1), ("Knee", 0)]
    assert (scores[0].recall, scores[0].precision) == (0.5, 0.5)
    assert (scores[2].recall, scores[2].f1) == (0.0, 0.0)


def test_confusion_has_the_truth_in_rows():
    counts = confusion(np.array([0, 0, 1, -1]), np.array([0, 1, 1, 1]), 2)
    assert counts.tolist() == [[1, 1], [0, 1]]


def test_calibration_error_is_the_distance_of_confidence_from_accuracy():
    confidence = np.full(1000, 0.9)
    right = np.arange(1000) < 600
    assert expected_calibration_error(confidence, right) == pytest.approx(0.3)
    assert expected_calibration_error(confidence, np.arange(1000) < 900) == pytest.approx(0.0)
    assert math.isnan(expected_calibration_error(np.zeros(0), np.zeros(0, dtype=bool)))


def test_reliability_covers_confidence_of_exactly_one():
    bins = reliability(np.array([0.05, 1.0, 1.0]), np.array([False, True, True]))
    assert sum(part.n for part in bins) == 3
    assert bins[-1].accuracy == 1.0
    assert bins[-1].high == 1.0


def test_limits_of_a_share_are_those_of_scipy():
    for successes, n in ((0, 10), (5, 10), (10, 10), (3, 5895)):
        expected = binomtest(successes, n).proportion_ci(0.95, method="wilson")
        assert wilson_interval(successes, n) == pytest.approx((expected.low, expected.high))
    assert wilson_interval(0, 0) == (0.0, 1.0)
