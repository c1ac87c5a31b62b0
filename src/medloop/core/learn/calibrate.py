"""Temperature and thresholds, fitted by procedure on held-out base images and altered copies.

numpy and scipy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import softmax

from medloop.core.data.chance import better_than_chance

KNOWN_KEPT: Final = 0.9  # share of altered held-out images below the "unknown" threshold
# Errors allowed among confident answers on altered held-out images: what they promise.
CONFIDENT_ERRORS: Final = 0.01
UNKNOWN_CONFIDENT: Final = 0.002  # share of held-out unknown images that may be confident
MIN_CONFIDENCE: Final = 0.8  # no answer below is called confident, however few errors there are
NEVER: Final = float(np.nextafter(1.0, 2.0))  # a confidence that no answer reaches
MISLEADING_LIMIT: Final = 0.05  # of the held-out images
MISLEADING_VIEWS: Final = 0.75  # of an image's views
TEMPERATURES: Final = np.exp(np.linspace(np.log(0.25), np.log(8), 141))


@dataclass(frozen=True, slots=True)
class Calibration:
    """The temperature and thresholds that turn logits into verdicts."""

    temperature: float
    confident_threshold: float
    confident_ood_threshold: float
    ood_threshold: float


def ood_scores(logits: np.ndarray) -> np.ndarray:
    """Compute log odds of "none of the classes" against all classes, from logits [N, C + 1]."""
    known = logits[:, :-1]
    peak = known.max(1)
    return np.asarray(logits[:, -1] - peak - np.log(np.exp(known - peak[:, None]).sum(1)))


def fit_temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    """Find the temperature of least negative log-likelihood for logits [N, C] of the classes."""

    def loss(temperature: float) -> float:
        picked = softmax(logits / temperature, axis=1)[np.arange(len(targets)), targets]
        return float(-np.log(np.clip(picked, 1e-12, None)).mean())

    return float(min(TEMPERATURES, key=loss))


def min_confidence(
    confidence: np.ndarray, correct: np.ndarray, allowed: float = CONFIDENT_ERRORS
) -> float:
    """Find the lowest threshold with at most `allowed` errors from it on; 1.0 if there is none."""
    order = np.argsort(-confidence, kind="stable")
    errors = np.cumsum(~correct[order]) / np.arange(1, len(order) + 1)
    fine = np.flatnonzero(errors <= allowed)
    return float(confidence[order][fine[-1]]) if len(fine) else 1.0


def calibrate(
    known: np.ndarray, shifted: np.ndarray, targets: np.ndarray, unknown: np.ndarray
) -> Calibration:
    """Fit temperature and thresholds to logits.

    A model no better than chance is never confident. A class of which most held-out images would be
    "unknown" raises that threshold, as long as the network itself does not favour "none".

    Args:
        known: Logits [N, C + 1] of held-out images as they are.
        shifted: Logits [V, N, C + 1] of V altered views of each, standing in for other sources.
        targets: Their classes [N].
        unknown: Logits [M, C + 1] of images of none of the classes.
    """
    kept = ~misleading(shifted, targets)
    views = shifted[:, kept].reshape(-1, shifted.shape[2])
    view_targets = np.tile(targets[kept], len(shifted))
    both = np.concatenate([np.repeat(known, len(shifted), 0), views])
    both_targets = np.concatenate([np.repeat(targets, len(shifted)), view_targets])
    temperature = fit_temperature(both[:, :-1], both_targets)
    probabilities, scores = softmax(views[:, :-1] / temperature, axis=1), ood_scores(views)
    keeping = float(np.quantile(scores, KNOWN_KEPT))
    as_they_are = ood_scores(known)
    typical = max(float(np.median(as_they_are[targets == c])) for c in np.unique(targets))
    confident_ood = min(float(np.quantile(ood_scores(unknown), UNKNOWN_CONFIDENT)), keeping)
    near = scores <= confident_ood
    correct = probabilities.argmax(1) == view_targets
    confidence = max(MIN_CONFIDENCE, min_confidence(probabilities.max(1)[near], correct[near]))
    learned = better_than_chance(targets, known[:, :-1].argmax(1))
    return Calibration(
        temperature=temperature,
        confident_threshold=confidence if learned else NEVER,
        confident_ood_threshold=confident_ood,
        ood_threshold=max(keeping, min(0.0, float(np.nextafter(typical, np.inf)))),
    )


def misleading(shifted: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Find images whose label the altered views contradict in unison: bool [N], at most 5 %.

    In this data the label belongs to the examination: AbdomenCT has chest slices, told apart by
    their grey alone. A view without that grey cannot show the label, so such an image says nothing
    about errors on other sources. The limit keeps a model that is simply wrong from excusing
    itself.
    """
    against = (shifted[:, :, :-1].argmax(2) != targets).mean(0)
    margin = softmax(shifted[:, :, :-1], axis=2).mean(0)[np.arange(len(targets)), targets]
    order = np.lexsort((margin, -against))[: int(MISLEADING_LIMIT * len(targets))]
    found = np.zeros(len(targets), bool)
    found[order[against[order] >= MISLEADING_VIEWS]] = True
    return found
