"""Whether incoming pictures are like those that a version was tested on."""

from __future__ import annotations

import numpy as np
import pytest
from tests.app.models import brightness_model

from medloop.core.monitoring.drift import (
    EXPECTED,
    LEAST,
    Drift,
    build_reference,
    distances,
    odd_confidence,
    odd_distance,
)
from medloop.core.prediction.predictor import Predictor
from medloop.stores.datasets import bundled_sample


@pytest.fixture(scope="module")
def reference():
    return build_reference(Predictor(brightness_model()), bundled_sample())


def test_the_distance_is_to_the_nearest_and_knows_no_length():
    index = np.array([[1, 0], [0, 1]], np.float32)
    found = distances(np.array([[5, 0], [1, 1], [-1, 0], [0, 0]], np.float32), index)
    assert found == pytest.approx([0, 1 - np.sqrt(0.5), 1, 1], abs=1e-6)


def test_test_pictures_themselves_do_not_drift(reference):
    for found in (
        odd_confidence(reference.confidences.tolist(), reference),
        odd_distance(reference.distances.tolist(), reference),
    ):
        assert found.odd / found.n <= EXPECTED
        assert not found.is_alarm


def test_strange_pictures_drift(reference):
    far = float(reference.distances.max()) + 0.1
    assert odd_distance([far] * LEAST, reference).is_alarm
    assert odd_confidence([0.0] * LEAST, reference).is_alarm


def test_few_pictures_prove_nothing(reference):
    assert not odd_confidence([0.0] * (LEAST - 1), reference).is_alarm
    assert odd_confidence([], reference) == Drift(odd=0, n=0, low=0.0, high=1.0)
