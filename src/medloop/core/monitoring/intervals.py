"""Confidence intervals of shares. Standard library only, since pages show them too."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Final

PRIOR: Final = (50.0, 0.5)  # of the bets behind `anytime_lower_bound`


def wilson_interval(successes: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Find the two-sided Wilson score interval of a share; (0, 1) without trials."""
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, spread = successes / n, z * z / n
    centre = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)


def anytime_lower_bound(successes: int, failures: int, *, level: float = 0.95) -> float:
    """Bound a share from below, however often and whenever one looks; 0 without trials.

    A gambler bets on shares drawn from Beta(50, 1/2), about the 99 % promised, against the share
    that is bounded: their wealth is a martingale if it is the true one, and so passes 1 / (1 -
    level) in at most 1 - level of all streams (Ville). The bound is the least share that does not
    make them so rich (Robbins 1970; Waudby-Smith and Ramdas, JRSS B 2024).
    """
    n, (a, b) = successes + failures, PRIOR
    won = _log_beta(successes + a, failures + b) - _log_beta(a, b) + math.log(1 - level)
    low, high = 0.0, successes / n if n else 0.0
    for _ in range(50):
        share = (low + high) / 2
        lost = successes * math.log(share) + failures * math.log1p(-share) if share else won
        low, high = (share, high) if won > lost else (low, share)
    return low


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
