"""Temperature and thresholds do what their names say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from medloop.core.gate.metrics import expected_calibration_error
from medloop.core.learn.calibrate import (
    calibrate,
    fit_temperature,
    min_confidence,
    misleading,
    ood_scores,
)


def honest_logits(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits over three classes whose softmax is the true chance of each."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, 3))
    cumulative = softmax(logits, axis=1).cumsum(1)
    return logits, (rng.random((n, 1)) > cumulative).sum(1)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_a_wrong_scale(factor: float) -> None:
    logits, targets = honest_logits(20_000, 0)
    assert fit_temperature(logits * factor, targets) == pytest.approx(factor, rel=0.1)


def test_calibrated_probabilities_have_little_calibration_error() -> None:
    logits, targets = honest_logits(20_000, 1)
    right = logits.argmax(1) == targets
    assert expected_calibration_error(softmax(logits, axis=1).max(1), right) < 0.02
    assert expected_calibration_error(softmax(logits * 4, axis=1).max(1), right) > 0.1


def test_the_min_confidence_keeps_errors_below_the_limit() -> None:
    confidence = np.array([0.99, 0.98, 0.97, 0.6, 0.5])
    correct = np.array([True, True, True, False, False])
    assert min_confidence(confidence, correct, 0.01) == 0.97
    assert min_confidence(confidence, ~correct, 0.01) == 1.0


def test_ood_scores_are_log_odds() -> None:
    logits = np.log(np.array([[0.2, 0.3, 0.5]]))
    assert ood_scores(logits)[0] == pytest.approx(0.0)


def test_thresholds_keep_most_known_images_and_few_confident_unknowns() -> None:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 3, 3000)
    known = np.eye(4)[targets] * 9 + rng.normal(0, 1, (3000, 4))
    unknown = np.eye(4)[np.full(1000, 3)] * 7 + rng.normal(0, 2, (1000, 4))
    stranger = known + np.array([0, 0, 0, 2])  # as altered views are
    fitted = calibrate(known, np.stack([stranger, known]), targets, unknown)
    assert (
        ood_scores(np.concatenate([stranger, known])) < fitted.ood_threshold
    ).mean() == pytest.approx(0.9, abs=0.01)
    assert (ood_scores(known) < fitted.ood_threshold).mean() > 0.95
    assert fitted.confident_ood_threshold <= fitted.ood_threshold
    sure = (
        softmax(unknown[:, :3] / fitted.temperature, axis=1).max(1) >= fitted.confident_threshold
    ) & (ood_scores(unknown) <= fitted.confident_ood_threshold)
    assert sure.mean() <= 0.01


def test_labels_that_every_view_contradicts_are_left_out_up_to_a_limit() -> None:
    targets = np.zeros(100, int)
    right, wrong = np.array([4.0, 0, 0]), np.array([0, 4.0, 0])
    shifted = np.tile(right, (4, 100, 1))
    shifted[:, :3] = wrong
    shifted[0, 3:50] = wrong
    assert np.flatnonzero(misleading(shifted, targets)).tolist() == [0, 1, 2]
    shifted[:, :60] = wrong
    assert misleading(shifted, targets).sum() == 5


def certain(targets: np.ndarray, none: float = -9.0) -> np.ndarray:
    """Logits [N, 4] that are sure of these classes."""
    return np.eye(4)[targets] * 9 + np.array([0, 0, 0, none])


def test_a_model_no_better_than_chance_is_never_confident() -> None:
    rng = np.random.default_rng(0)
    targets, unknown = np.repeat([0, 1, 2], 30), certain(np.full(50, 3), 0)
    guessed = certain(rng.integers(0, 3, 90))
    assert calibrate(guessed, guessed[None], targets, unknown).confident_threshold > 1
    known = certain(targets)
    assert calibrate(known, known[None], targets, unknown).confident_threshold <= 1


def test_a_rare_class_is_not_given_up_as_unknown() -> None:
    """Two of its images among ninety are no reason for a quantile over all of them."""
    targets, unknown = np.repeat([0, 1, 2], [60, 30, 2]), certain(np.full(50, 3), 0)
    known = certain(targets)
    known[targets == 2, 3] = 7  # stranger than all others, still no stranger than "none"
    fitted = calibrate(known, np.stack([known] * 4), targets, unknown)
    assert (ood_scores(known)[targets == 2] < fitted.ood_threshold).all()
    assert (ood_scores(unknown) >= fitted.ood_threshold).all()
    known[targets == 2, 3] = 30  # the network itself calls them none of the classes
    fitted = calibrate(known, np.stack([known] * 4), targets, unknown)
    assert fitted.ood_threshold <= 0
