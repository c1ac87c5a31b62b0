"""One resize for everything, without aliasing."""

from __future__ import annotations

import numpy as np
import pytest

from medloop.core.imaging.preprocess import preprocess


def test_an_image_of_the_right_size_is_returned_as_it_is() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    assert preprocess(image) is image


@pytest.mark.parametrize("shape", [(1, 1), (28, 28), (101, 122), (512, 512), (40, 2000)])
def test_any_size_becomes_the_models(shape: tuple[int, int]) -> None:
    assert (preprocess(np.full(shape, 77, np.uint8)) == np.full((64, 64), 77)).all()


def test_a_picture_keeps_its_proportions_on_its_own_background() -> None:
    y, x = np.mgrid[:100, :200]
    disc = np.where(np.hypot(y - 50, x - 100) < 40, 200, 30).astype(np.uint8)
    shown = preprocess(disc) > 100
    assert abs(int(shown.any(0).sum()) - int(shown.any(1).sum())) <= 1
    assert (preprocess(disc)[:14] == 30).all()


@pytest.mark.parametrize(
    ("side", "left"),
    [
        (96, 65),
        (100, 55),
        (112, 40),
        (140, 40),
        (150, 40),
        (200, 25),
        (300, 25),
        (640, 8),
        (1000, 8),
    ],
)
def test_fine_stripes_average_out_instead_of_aliasing(side: int, left: int) -> None:
    """Also at ratios that are no whole numbers; near one a smooth filter cannot take out all."""
    stripes = np.zeros((side, side), np.uint8)
    stripes[:, ::2] = 255
    assert np.ptp(preprocess(stripes).astype(int)) <= left


@pytest.mark.parametrize(
    "image",
    [np.zeros((64, 64), np.float32), np.zeros((64, 64, 3), np.uint8), np.zeros((0, 64), np.uint8)],
)
def test_what_is_no_grey_image_is_refused(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="grey uint8"):
        preprocess(image)
