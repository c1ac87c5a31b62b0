"""Finds the people whose corrections make a model worse on pictures that no user chose.

Retraining without each person would take days. Instead a linear head on the champion's embeddings
stands in for the training: it learns base images and corrections in the shares that a week gives
them, with and without somebody, and is asked about trusted pictures. Only these judge. What people
say of each other's corrections does not: a clique would have the majority contradicted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

SHARE: Final = 1 / 3  # weight of all corrections beside the base images, as in a week's batches
FULL_SHARE_FROM: Final = 40  # corrections; fewer weigh less
RIDGE: Final = 1e-3
MARGIN: Final = 0.5  # by which the right class should lead; beyond it nothing is lost
RELEVANT: Final = 0.02  # share of the trusted loss that must go with somebody's corrections
SIGNIFICANT: Final = 4.0  # standard errors, by picture, that this must be off zero
# More loss than without any correction; below that nobody is to blame.
WORSE: Final = 0.05  # after a refusal
MUCH_WORSE: Final = 0.25  # where the gate noticed nothing
MAX_SUSPECTS: Final = 100  # who gave most


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """Pictures as the champion sees them."""

    embeddings: np.ndarray  # float [N, D]
    targets: np.ndarray  # int64 [N]; -1 for none of the classes


@dataclass(frozen=True, slots=True)
class Blame:
    """People whose corrections do harm; the trusted loss with all, without theirs, with none."""

    people: frozenset[str]
    loss: float
    loss_without: float
    loss_of_none: float


def blame(
    base: Embedded,
    trusted: Embedded,
    origins: np.ndarray,
    corrections: Embedded,
    backers: Sequence[frozenset[str]],
    *,
    worse: float = WORSE,
) -> Blame:
    """Name the most harmful person, then the next, while the harm is relevant and significant.

    Args:
        base: Images that the champion was trained on.
        trusted: Held-out base images and altered copies of them.
        origins: int [T], the picture that each trusted one is or was made of.
        corrections: What is learned this week.
        backers: On whose word each correction rests; empty where that is beyond doubt.
        worse: Share of the loss without any correction that all together must add.
    """
    bench = _Bench(base, trusted, corrections)
    kept = np.ones(len(backers), dtype=bool)
    now, nothing = bench.losses(kept), bench.losses(~kept).mean()
    before, named = now.mean(), frozenset[str]()
    if before < (1 + worse) * nothing:
        return Blame(named, float(before), float(before), float(nothing))
    while now.mean() > (1 + WORSE) * nothing:
        trials = {
            who: bench.losses(_without(backers, named | who)) for who in _suspects(backers, named)
        }
        worst = min(trials, key=lambda who: (trials[who].mean(), sorted(who)), default=frozenset())
        if not worst or not _harmful(now - trials[worst], now.mean(), origins):
            break
        named, now = named | worst, trials[worst]
    return Blame(named, float(before), float(now.mean()), float(nothing))


def _suspects(backers: Sequence[frozenset[str]], named: frozenset[str]) -> list[frozenset[str]]:
    """List people or agreeing groups on whose word alone a picture rests, most given first."""
    sets, counts = np.unique([" ".join(sorted(who)) for who in backers], return_counts=True)
    found = [frozenset(str(who).split()) for who in sets[np.argsort(-counts, kind="stable")]]
    return [who for who in found if who and not who <= named][:MAX_SUSPECTS]


def _without(backers: Sequence[frozenset[str]], people: frozenset[str]) -> np.ndarray:
    """Which corrections do not rest on these people alone: bool [M]."""
    return np.array([not who or not who <= people for who in backers], dtype=bool)


def _harmful(harm: np.ndarray, loss: float, origins: np.ndarray) -> bool:
    by_picture = np.bincount(origins, harm) / np.maximum(np.bincount(origins), 1)
    error = by_picture.std() / np.sqrt(len(by_picture))
    mean = by_picture.mean()
    return bool(mean >= RELEVANT * loss and mean > SIGNIFICANT * error)


class _Bench:
    """A head that is fitted anew for each choice of corrections, in closed form."""

    def __init__(self, base: Embedded, trusted: Embedded, corrections: Embedded) -> None:
        self._mean = base.embeddings.mean(axis=0)
        self._scale = base.embeddings.std(axis=0) + 1e-6
        self._classes = np.eye(1 + int(max(base.targets.max(), corrections.targets.max(initial=0))))
        x, y = self._rows(base.embeddings), self._classes[base.targets]
        self._inner, self._outer = x.T @ x / len(x), x.T @ y / len(x)
        self._trusted, self._truth = self._rows(trusted.embeddings), trusted.targets
        self._x, self._targets = self._rows(corrections.embeddings), corrections.targets
        self._y = np.where(
            (self._targets >= 0)[:, None], self._classes[np.maximum(self._targets, 0)], 0.0
        )

    def _rows(self, embeddings: np.ndarray) -> np.ndarray:
        scaled = (embeddings - self._mean) / self._scale
        return np.asarray(np.c_[scaled, np.ones(len(scaled))], dtype=np.float64)

    def losses(self, kept: np.ndarray) -> np.ndarray:
        """Of the trusted pictures, if only these corrections (bool [M]) are learned: float [T]."""
        weights = self._weights(kept)[:, None]
        inner = self._inner + (self._x * weights).T @ self._x
        inner += RIDGE * np.trace(inner) / len(inner) * np.eye(len(inner))
        head = np.linalg.solve(inner, self._outer + (self._x * weights).T @ self._y)
        scores = self._trusted @ head
        rows = np.arange(len(scores))
        right = scores[rows, self._truth]
        scores[rows, self._truth] = -np.inf
        return np.asarray(np.clip(MARGIN - right + scores.max(axis=1), 0, 1))

    def _weights(self, kept: np.ndarray) -> np.ndarray:
        """As a training draws them: rare labels more often, all together a share of the batch."""
        numbers = self._targets + 1
        counts = np.bincount(numbers[kept], minlength=numbers.max(initial=0) + 1)
        weights = kept / np.sqrt(np.maximum(counts[numbers], 1))
        share = SHARE * min(1.0, kept.sum() / FULL_SHARE_FROM)
        return np.asarray(weights * share / max(weights.sum(), 1e-12))
