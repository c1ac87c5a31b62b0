"""Two models on the same images: is one worse, and by how much at most? Exact, no random draws.

Only images on which the two differ say anything. Images of one examination fall together, so groups
are what is flipped or drawn. Both statistics are computed from their characteristic functions:

- Evidence of a loss: were the models equally good, each group's net loss could as well be its gain.
  `p_worse` is the chance of a total loss as high under such flips; without groups it is McNemar's.
- What may be lost at most: the paired bootstrap over groups in its Poisson form (each group occurs
  Poisson(1) times).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

LEVEL: Final = 0.95  # one-sided confidence of a bound


@dataclass(frozen=True, slots=True)
class Comparison:
    """The new model against the old one."""

    n: int
    gained: int  # images that only the new one gets right
    lost: int  # images that only the old one gets right
    bound: float  # the accuracy lost is at most this, at LEVEL
    p_worse: float  # chance of as many losses, net, from models that are equally good


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
    return Comparison(
        n=len(loss),
        gained=int((loss < 0).sum()),
        lost=int((loss > 0).sum()),
        bound=loss_bound(loss, groups) / len(loss) if len(loss) else float("nan"),
        p_worse=loss_p(loss, groups),
    )


def loss_p(loss: np.ndarray, groups: np.ndarray) -> float:
    """Find the chance of a total `loss` (int [N]) as high, if each group's sign were a coin's.

    Losing one more image never raises it, whatever the groups; 1 if nothing differs.
    """
    nets = _nets(loss, groups)
    sizes, counts = np.unique(np.abs(nets), return_counts=True)
    size, angles = _angles(int((sizes * counts).sum()))
    spectrum = np.prod([np.cos(s * angles) ** c for s, c in zip(sizes, counts, strict=True)], 0)
    above = _mass(np.broadcast_to(spectrum, size))[size // 2 + nets.sum() :]
    return float(np.clip(above.sum(), 0.0, 1.0))


def loss_bound(loss: np.ndarray, groups: np.ndarray, *, one: int = 1) -> int:
    """Bound the total `loss` (int [N], positive: lost) of such images from above, at LEVEL.

    One more lost image of weight `one` is added before the resampling, so that no loss in n images
    still means at most 3. Losing one more never lowers the bound, and gaining one never raises it.
    """
    values, counts = np.unique(np.append(_nets(loss, groups), one), return_counts=True)
    spread = 12 * np.sqrt((counts * values**2).sum()) + 40 * np.abs(values).max()
    size, angles = _angles(int(np.abs((values * counts).sum()) + spread))
    exponent = sum(c * (np.exp(-1j * angles * v) - 1) for v, c in zip(values, counts, strict=True))
    return int(np.searchsorted(np.cumsum(_mass(np.exp(exponent))), LEVEL - 1e-9)) - size // 2


def _nets(loss: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Sum the loss per group; groups without any are left out."""
    _, member = np.unique(groups, return_inverse=True)
    nets = np.rint(np.bincount(member.ravel(), weights=loss)).astype(np.int64)
    return np.asarray(nets[nets != 0])


def _angles(half: int) -> tuple[int, np.ndarray]:
    """Choose a transform that holds sums from -half to half: its size, and its angles."""
    size = 1 << (2 * half + 1).bit_length()
    return size, 2 * np.pi * np.arange(size) / size


def _mass(spectrum: np.ndarray) -> np.ndarray:
    """Turn a characteristic function into chances; index i stands for the sum i - size // 2."""
    return np.asarray(np.roll(np.fft.ifft(spectrum).real, len(spectrum) // 2))
