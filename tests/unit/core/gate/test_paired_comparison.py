"""Comparing two models on the same images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import poisson

from medloop.core.gate.paired_comparison import cluster_size, compare, loss_bound, margin, mcnemar


def losses(lost: int, gained: int, n: int) -> np.ndarray:
    loss = np.zeros(n, dtype=np.int64)
    loss[:lost], loss[lost : lost + gained] = 1, -1
    return loss


def test_no_loss_in_n_images_bounds_the_loss_by_three_in_n():
    assert loss_bound(losses(0, 0, 5895), np.arange(5895)) == 3 / 5895


def test_published_margin_for_two_tenths_of_a_percent_discordance():
    """RESEARCH: n = 5,895 at 0.2 % discordance bounds ±0.10 points."""
    assert loss_bound(losses(6, 6, 5895), np.arange(5895)) == pytest.approx(0.0010, abs=2e-4)


@pytest.mark.parametrize("lost", [0.5, 2.0, 5.0, 13.0, 40.0])
@pytest.mark.parametrize("gained_share", [0.0, 0.5, 1.0, 2.0])
def test_bound_covers_the_true_loss_nineteen_times_in_twenty(lost: float, gained_share: float):
    """Exactly computed: numbers of losses and gains are Poisson with known means."""
    gained = lost * gained_share
    likely = [(b, c) for b in _plausible(lost) for c in _plausible(gained)]
    chance = {pair: poisson.pmf(pair[0], lost) * poisson.pmf(pair[1], gained) for pair in likely}
    groups = np.arange(200)
    covered = sum(
        p
        for (b, c), p in chance.items()
        if p > 1e-7 and loss_bound(losses(b, c, 200), groups) * 200 >= lost - gained
    )
    assert covered > 0.95


def _plausible(mean: float) -> range:
    return (
        range(int(poisson.ppf(1e-5, mean)), int(poisson.ppf(1 - 1e-5, mean)) + 1)
        if mean
        else range(1)
    )


def test_losses_of_one_examination_count_as_one_accident():
    """Ten images lost in one group say less than ten lost in ten groups: the bound is wider."""
    loss = losses(10, 0, 1000)
    together = np.where(loss == 1, 0, np.arange(1000))
    assert loss_bound(loss, together) > loss_bound(loss, np.arange(1000))


@settings(deadline=None)
@given(st.data())
def test_one_more_lost_image_never_lowers_the_bound(data: st.DataObject):
    n = data.draw(st.integers(2, 60))
    new = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    old = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    groups = np.array(data.draw(st.lists(st.integers(0, 8), min_size=n, max_size=n)))
    worse = new.copy()
    worse[data.draw(st.integers(0, n - 1))] = False
    assert compare(worse, old, groups).bound >= compare(new, old, groups).bound


@settings(deadline=None)
@given(st.integers(1, 4000), st.floats(0, 0.2))
def test_an_identical_model_always_stays_within_the_margin(n: int, errors: float):
    identical = loss_bound(np.zeros(n, dtype=np.int64), np.arange(n))
    assert identical <= margin(n, errors, max_margin=np.inf)


def test_more_images_support_a_smaller_margin():
    sizes = [50, 200, 1000, 5000, 20000]
    margins = [margin(n, 0.01, max_margin=np.inf) for n in sizes]
    assert margins == sorted(margins, reverse=True)
    assert margins[-1] < 0.003


def test_mcnemar_is_exact():
    """Five discordant pairs, all one way, are needed for p < 0.05."""
    assert mcnemar(5, 0) == pytest.approx(1 / 32)
    assert mcnemar(4, 0) == pytest.approx(1 / 16)
    assert mcnemar(0, 0) == 1.0


def test_results_of_different_images_cannot_be_compared():
    with pytest.raises(ValueError, match="not the same images"):
        compare(np.ones(3, bool), np.ones(4, bool), np.arange(3))


def test_errors_that_fall_together_widen_the_margin():
    """A champion whose errors lie in few examinations may differ from an equally good model by whole examinations."""
    wrong = np.arange(100) < 6
    alone, together = np.arange(100), np.arange(100) // 3
    assert cluster_size(wrong, alone) == 1
    assert cluster_size(wrong, together) == 3
    assert cluster_size(np.zeros(100, dtype=bool), together) == 1
    assert margin(600, 0.01, max_margin=np.inf, cluster=3) > margin(600, 0.01, max_margin=np.inf)
