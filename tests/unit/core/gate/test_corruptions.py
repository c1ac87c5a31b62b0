"""Forty corruptions: deterministic, real, and worse with severity."""

from __future__ import annotations

import numpy as np
import pytest

from medloop.core.gate.corruptions import CORRUPTIONS, SEVERITIES, corrupt


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    y, x = np.mgrid[:64, :64]
    disc = np.where(np.hypot(y - 34, x - 28) < 18, 150 + 2.0 * (y - 34), 30)
    return np.stack([disc, disc.T, np.where(disc > 40, 90, 60)]).astype(np.uint8)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_changes_images_the_same_way_for_the_same_seed(name: str, images: np.ndarray) -> None:
    for severity in SEVERITIES:
        changed = corrupt(images, name, severity, seed=3)
        assert changed.dtype == np.uint8
        assert changed.shape == images.shape
        assert (changed == corrupt(images, name, severity, seed=3)).all()
        assert (changed != images).any()


def test_there_are_at_least_forty() -> None:
    assert len(CORRUPTIONS) >= 40


@pytest.mark.parametrize(
    "name",
    ["jpeg", "gaussian_noise", "gaussian_blur", "darker", "rotate", "occlusion", "low_resolution"],
)
def test_severity_means_further_from_the_original(name: str, images: np.ndarray) -> None:
    errors = [np.abs(corrupt(images, name, s).astype(float) - images).mean() for s in SEVERITIES]
    assert errors[4] > errors[2] > errors[0]


def test_an_unknown_severity_is_refused(images: np.ndarray) -> None:
    with pytest.raises(ValueError, match="severity"):
        corrupt(images, "jpeg", 6)
