"""The scores of one model: accuracy, calibration, verdicts, unknown images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.learning.data import Base, External, Unknown, corrupted
from medloop.core.data.chance import balanced_accuracy
from medloop.core.gate.corruptions import CORRUPTIONS
from medloop.core.gate.metrics import expected_calibration_error
from medloop.core.prediction.predictor import Predictor

Classifier = Callable[[np.ndarray], np.ndarray]  # uint8 [N, 64, 64] to probabilities [N, C]
CORRUPTED_PER_CLASS = 40
KNOWN_KEPT = 0.95


def class_weights(targets: np.ndarray) -> np.ndarray:
    """Weights that give each class the same say: float64 [N], summing to 1."""
    counts = np.bincount(targets)
    present = np.count_nonzero(counts)
    return np.asarray(1.0 / (present * counts[targets]))


def by_class(
    predicted: np.ndarray, targets: np.ndarray, labels: tuple[str, ...]
) -> dict[str, float]:
    return {labels[c]: float((predicted == c)[targets == c].mean()) for c in np.unique(targets)}


def wilson(successes: float, n: int, z: float = 1.96) -> tuple[float, float]:
    """Give the 95 % interval of a share (Wilson 1927)."""
    p = successes / n
    centre, spread = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return float((centre - spread) / (1 + z * z / n)), float((centre + spread) / (1 + z * z / n))


def accuracies(classify: Classifier, base: Base, external: External) -> dict[str, Any]:
    """Measure what can be asked of any classifier, the peers too."""
    images, targets = base.part(base.test)
    base_p, external_p = classify(images), classify(external.images)
    predicted = external_p.argmax(1)
    views, view_targets = corrupted(base, CORRUPTED_PER_CLASS)
    by_corruption = {
        name: float(
            np.mean(
                [
                    (classify(np.ascontiguousarray(v)).argmax(1) == view_targets).mean()
                    for v in severities
                ]
            )
        )
        for name, severities in zip(CORRUPTIONS, views, strict=True)
    }
    right = base_p.argmax(1) == targets
    return {
        "base": float(right.mean()),
        "base_interval": wilson(float(right.sum()), len(right)),
        "base_n": len(right),
        "external": balanced_accuracy(external.targets, predicted),
        "external_by_class": by_class(predicted, external.targets, base.labels),
        "external_n": len(predicted),
        "corruptions": float(np.mean(list(by_corruption.values()))),
        "corruptions_spread": float(np.std(list(by_corruption.values()))),
        "corruptions_lowest": dict(sorted(by_corruption.items(), key=lambda item: item[1])[:6]),
        "corruptions_n": int(views[0, 0].shape[0] * views.shape[0] * views.shape[1]),
        "base_ece": expected_calibration_error(base_p.max(1), right),
        "external_ece": expected_calibration_error(
            external_p.max(1), external_p.argmax(1) == external.targets
        ),
    }


def verdicts(
    predictor: Predictor, base: Base, external: External, unknown: dict[str, Unknown]
) -> dict[str, Any]:
    """Measure honesty: errors among confident answers, and what becomes of unknown images."""
    raw = predictor.predict_arrays(external.images)
    said = np.array(predictor.verdicts(raw))
    wrong, weights = (
        raw.probabilities.argmax(1) != external.targets,
        class_weights(external.targets),
    )
    sure = said == "confident"
    threshold = float(np.quantile(raw.ood_score, KNOWN_KEPT))
    base_said = np.array(predictor.verdicts(predictor.predict_arrays(base.images[base.test])))
    return {
        "external_confident": float(weights[sure].sum()),
        "external_confident_errors": float((wrong & sure).sum() / max(1, sure.sum())),
        "external_unknown": float(weights[said == "unknown"].sum()),
        "base_confident": float((base_said == "confident").mean()),
        "base_unknown": float((base_said == "unknown").mean()),
        "unknown": {
            kind: _unknown(predictor, pictures, threshold) for kind, pictures in unknown.items()
        },
    }


def _unknown(predictor: Predictor, unknown: Unknown, threshold: float) -> dict[str, float]:
    raw = predictor.predict_arrays(unknown.images)
    said = np.array(predictor.verdicts(raw))
    answers = predictor.predict(list(unknown.images), about=unknown.about)
    return {
        "n": len(said),
        "in_colour": float(np.mean([about.in_colour for about in unknown.about])),
        "kept_as_known": float(
            (raw.ood_score < threshold).mean()
        ),  # at the threshold that keeps 95 % of external
        "confident": float(np.mean([answer.verdict == "confident" for answer in answers])),
        "confident_turned_grey": float((said == "confident").mean()),
        "verdict_unknown": float((said == "unknown").mean()),
    }


def verdicts_by_probability(
    classify: Classifier, external: External, unknown: dict[str, Unknown], confident: float = 0.8
) -> dict[str, Any]:
    """Measure the same of a classifier without "none of these", by its highest probability."""
    probabilities = classify(external.images)
    highest, wrong = probabilities.max(1), probabilities.argmax(1) != external.targets
    sure, threshold = highest >= confident, float(np.quantile(highest, 1 - KNOWN_KEPT))
    strange = {kind: classify(images.images).max(1) for kind, images in unknown.items()}
    return {
        "external_confident": float(class_weights(external.targets)[sure].sum()),
        "external_confident_errors": float((wrong & sure).sum() / max(1, sure.sum())),
        "unknown": {
            kind: {
                "n": len(scores),
                "kept_as_known": float((scores > threshold).mean()),
                "confident": float((scores >= confident).mean()),
            }
            for kind, scores in strange.items()
        },
    }
