"""Two models on the same images: is one worse, and by how much at most?

Exact, without random draws.

Only images on which the two differ say anything. Images of one examination fall together, so what
is drawn is groups: the bound is the paired bootstrap over groups in its Poisson form (each group
occurs Poisson(1) times), whose distribution is computed instead of sampled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import binomtest, poisson

LEVEL: Final = 0.95  # one-sided confidence of a bound
MIN_DISCORDANCE: Final = 0.002  # even models with next to no errors differ on this share of images


@dataclass(frozen=True, slots=True)
class Comparison:
    """The new model against the old one. Shares are of all n images."""

    n: int
    gained: int  # images that only the new one gets right
    lost: int  # images that only the old one gets right
    bound: float  # the accuracy lost is at most this, at LEVEL
    p_worse: float  # exact one-sided McNemar: chance of at least as many losses from equal models


def compare(new_right: np.ndarray, old_right: np.ndarray, groups: np.ndarray) -> Comparison:
    """Compare two models image by image; bool [N] each, `groups` int [N].

    Raises:
        ValueError: The three differ in length.
    """
    if not len(new_right) == len(old_right) == len(groups):
        raise ValueError(
            f"not the same images: {len(new_right)}, {len(old_right)} and {len(groups)}"
        )
    loss = old_right.astype(np.int64) - new_right.astype(np.int64)
    lost, gained = int((loss > 0).sum()), int((loss < 0).sum())
    return Comparison(
        n=len(loss),
        gained=gained,
        lost=lost,
        bound=loss_bound(loss, groups),
        p_worse=mcnemar(lost, gained),
    )


def mcnemar(lost: int, gained: int) -> float:
    """Test "the new model is worse" (McNemar, exact, one-sided); 1 if no image differs."""
    return (
        float(binomtest(lost, lost + gained, alternative="greater").pvalue)
        if lost + gained
        else 1.0
    )


def loss_bound(loss: np.ndarray, groups: np.ndarray, *, level: float = LEVEL) -> float:
    """Bound the mean of `loss` (+1 lost, -1 gained, 0 same) from above; NaN without images.

    One more lost image is added before the resampling, so that no loss in n images still means at
    most 3 / n. Losing one more image never lowers the bound, and gaining one never raises it.
    """
    if len(loss) == 0:
        return float("nan")
    _, member = np.unique(groups, return_inverse=True)
    nets = np.rint(np.bincount(member.ravel(), weights=loss)).astype(np.int64)
    values, counts = np.unique(np.append(nets[nets != 0], 1), return_counts=True)
    return _poisson_sum_quantile(values, counts, level) / len(loss)


def _poisson_sum_quantile(values: np.ndarray, counts: np.ndarray, level: float) -> int:
    """Find the least q with P(sum of values × Poisson(counts) ≤ q) ≥ level, by Fourier."""
    spread = 12 * np.sqrt((counts * values**2).sum()) + 40 * np.abs(values).max()
    half = int(np.abs((values * counts).sum()) + spread)
    size = 1 << (2 * half + 1).bit_length()
    angles = -2j * np.pi * np.arange(size) / size
    exponent = sum(
        count * (np.exp(angles * value) - 1) for value, count in zip(values, counts, strict=True)
    )
    mass = np.fft.ifft(np.exp(exponent)).real
    mass = np.roll(mass, size // 2)  # index i stands for the sum i - size // 2
    return int(np.searchsorted(np.cumsum(mass), level - 1e-9)) - size // 2


def margin(
    n: int, error_rate: float, *, max_margin: float, cluster: int = 1, power: float = LEVEL
) -> float:
    """Find the accuracy that may be lost before n images no longer support "not worse".

    It is the bound that a model as good as the old one stays within with probability `power`: two
    models with this rate of errors differ on about that share of images, half of them lost,
    `cluster` images at a time. Never above `max_margin`, so that with too few images nothing
    passes.
    """
    if n == 0:
        return max_margin
    accidents = n * max(MIN_DISCORDANCE, error_rate) / 2 / cluster
    lost, gained = int(poisson.ppf(power, accidents)), int(accidents)
    values, counts = np.array([-cluster, cluster, 1]), np.array([gained, lost, 1])
    return min(max_margin, _poisson_sum_quantile(values, counts, LEVEL) / n)


def cluster_size(wrong: np.ndarray, groups: np.ndarray) -> int:
    """Average over errors the errors in their group, rounded up; 1 without any."""
    _, member = np.unique(groups[wrong], return_inverse=True)
    together = np.bincount(member.ravel())
    return int(np.ceil((together**2).sum() / together.sum())) if len(together) else 1
