"""Comparing two models on the same images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, poisson

from medloop.core.gate.paired_comparison import compare, loss_bound, loss_p


def losses(lost: int, gained: int, n: int) -> np.ndarray:
    loss = np.zeros(n, dtype=np.int64)
    loss[:lost], loss[lost : lost + gained] = 1, -1
    return loss


def test_no_loss_in_n_images_bounds_the_loss_by_three_in_n():
    assert loss_bound(losses(0, 0, 5895), np.arange(5895)) == 3


def test_published_margin_for_two_tenths_of_a_percent_discordance():
    """RESEARCH: n = 5,895 at 0.2 % discordance bounds ±0.10 points."""
    bound = loss_bound(losses(6, 6, 5895), np.arange(5895)) / 5895
    assert bound == pytest.approx(0.0010, abs=2e-4)


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
        if p > 1e-7 and loss_bound(losses(b, c, 200), groups) >= lost - gained
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
def test_one_more_lost_image_never_lowers_the_bound_or_the_evidence(data: st.DataObject):
    n = data.draw(st.integers(2, 60))
    new = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    old = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    groups = np.array(data.draw(st.lists(st.integers(0, 8), min_size=n, max_size=n)))
    worse = new.copy()
    worse[data.draw(st.integers(0, n - 1))] = False
    after, before = compare(worse, old, groups), compare(new, old, groups)
    assert after.bound >= before.bound
    assert after.p_worse <= before.p_worse + 1e-9


def test_evidence_without_groups_is_mcnemars_exact_test():
    """Five discordant pairs, all one way, are needed for p < 0.05."""
    for lost, gained in ((5, 0), (4, 0), (7, 3), (0, 2), (60, 40)):
        expected = binomtest(lost, lost + gained, alternative="greater").pvalue
        found = loss_p(losses(lost, gained, 100), np.arange(100))
        assert found == pytest.approx(expected, abs=1e-12)
    assert loss_p(losses(0, 0, 10), np.arange(10)) == 1.0


def test_results_of_different_images_cannot_be_compared():
    with pytest.raises(ValueError, match="not the same images"):
        compare(np.ones(3, bool), np.ones(4, bool), np.arange(3))


def test_losses_of_one_examination_are_weaker_evidence():
    loss = losses(12, 0, 1000)
    together = np.where(loss == 1, np.arange(1000) // 4, np.arange(1000) + 1000)
    assert loss_p(loss, np.arange(1000)) == pytest.approx(2**-12)
    assert loss_p(loss, together) == pytest.approx(2**-3)


@pytest.mark.parametrize("level", [0.001, 0.01, 0.05])
def test_equally_good_models_show_evidence_no_more_often_than_the_level(level: float):
    """Whatever falls together: signs of groups are all that chance has."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 5, 12)
    groups = np.repeat(np.arange(12), sizes)
    signs = np.array(np.meshgrid(*[[-1, 1]] * 12)).reshape(12, -1).T
    chances = np.array([loss_p(np.repeat(row, sizes), groups) for row in signs[::4]])
    assert (chances <= level).mean() <= level + 1e-3
