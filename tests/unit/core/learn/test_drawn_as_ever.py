"""What trainings draw stays what it was, so that a version can be reproduced.

Mean levels, as recorded at commit b9ddffd, and not hashes: processors may round differently.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medloop.core.gate.corruptions import CORRUPTIONS, corrupt
from medloop.core.learn.augment import STEPS, Augmentation, augment
from medloop.core.learn.negatives import MAKERS, unknown_images
from medloop.core.learn.overlays import overlays

UNKNOWN = [
    140.9, 206.0, 124.9, 100.6, 122.5, 151.2, 99.5, 29.6, 91.1, 106.0, 120.3, 110.3, 138.1, 139.0,
    59.4, 72.5, 210.7, 138.4, 59.5, 131.4, 120.8,
]  # fmt: skip
CORRUPTED = [
    120.8, 120.4, 120.5, 120.2, 120.7, 120.3, 120.3, 120.3, 120.3, 120.3, 180.3, 53.8, 124.7, 120.3,
    173.8, 59.4, 113.0, 168.4, 118.4, 68.4, 183.8, 67.8, 81.2, 127.5, 120.1, 120.1, 120.1, 124.5,
    117.4, 118.7, 120.2, 120.1, 120.1, 119.9, 140.3, 143.7, 119.8, 122.8, 126.5, 121.6, 120.3,
]  # fmt: skip
AUGMENTED = [
    87.2, 83.1, 120.3, 110.1, 95.2, 126.6, 123.8, 120.3, 120.3, 118.5, 112.7, 123.4, 121.4, 120.3,
    120.5, 120.4, 134.7,
]  # fmt: skip


@pytest.fixture(scope="module")
def discs() -> np.ndarray:
    y, x = np.mgrid[:64, :64]
    disc = np.where(np.hypot(y - 34, x - 28) < 18, 150 + 2.0 * (y - 34), 101)
    return np.stack([disc, disc.T, disc[::-1], 255 - disc] * 8).astype(np.uint8)


def test_unknown_images_are_drawn_as_ever() -> None:
    drawn = unknown_images(5 * len(MAKERS), seed=1).reshape(5, len(MAKERS), -1)
    assert drawn.mean((0, 2)).tolist() == pytest.approx(UNKNOWN, abs=0.3)


def test_corruptions_change_as_ever(discs: np.ndarray) -> None:
    found = [corrupt(discs[:4], name, 3, seed=1).mean() for name in CORRUPTIONS]
    assert found == pytest.approx(CORRUPTED, abs=0.3)


def test_augmentations_change_as_ever(discs: np.ndarray) -> None:
    images, found = torch.from_numpy(discs), []
    for step in STEPS:
        always = (Augmentation(step.change, 1.0),)
        view = augment(images, torch.Generator().manual_seed(2), always)
        found.append(view.float().mean().item())
    assert found == pytest.approx(AUGMENTED, abs=0.3)
    assert overlays().float().mean().item() == pytest.approx(7.1, abs=0.1)
