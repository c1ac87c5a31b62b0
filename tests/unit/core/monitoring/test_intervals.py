"""Bounds of shares."""

from __future__ import annotations

import numpy as np
import pytest

from medloop.core.monitoring.intervals import anytime_lower_bound

LOOKS = range(10, 301, 10)


@pytest.mark.parametrize("share", [0.9, 0.97, 0.99])
def test_the_bound_holds_at_all_looks_together(share: float) -> None:
    """Look thirty times: at most 5 % of streams are ever called better than they are."""
    counts = np.cumsum(np.random.default_rng(0).random((400, 300)) < share, axis=1)
    missed = sum(
        any(anytime_lower_bound(int(right[n - 1]), n - int(right[n - 1])) > share for n in LOOKS)
        for right in counts
    )
    assert missed <= 0.05 * len(counts)


def test_more_right_answers_raise_it_and_a_wrong_one_lowers_it() -> None:
    bounds = [anytime_lower_bound(n, 0) for n in (0, 10, 100, 1000)]
    assert bounds[0] == 0
    assert bounds == sorted(bounds)
    assert anytime_lower_bound(213, 1) == pytest.approx(0.9695, abs=1e-3)
    assert anytime_lower_bound(213, 2) < anytime_lower_bound(213, 1) < anytime_lower_bound(214, 0)
    assert anytime_lower_bound(0, 5) == pytest.approx(0, abs=1e-9)
