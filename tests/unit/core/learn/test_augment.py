"""Random views: the right shape, the same for the same seed, and they undo the data set's
rendering.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medloop.core.learn.augment import STEPS, Augmentation, augment
from medloop.core.learn.hounsfield import flat_background, rerender
from medloop.core.learn.negatives import MAKERS, unknown_images
from medloop.core.learn.overlays import overlays


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def slices() -> torch.Tensor:
    """Bodies with two lungs, all that is no tissue at grey 101, as the data set renders them."""
    y, x = np.mgrid[:64, :64]
    body = ((x - 32) / 26) ** 2 + ((y - 32) / 20) ** 2 < 1
    lungs = (((np.abs(x - 32) - 12) / 8) ** 2 + ((y - 30) / 12) ** 2) < 1
    image = np.where(body & ~lungs, 140, 101)
    return torch.from_numpy(np.stack([image] * 64).astype(np.float32))


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.change.__name__)
def test_each_change_keeps_shape_and_range_and_repeats(
    step: Augmentation, slices: torch.Tensor
) -> None:
    always = (Augmentation(step.change, 1.0),)
    images = slices.to(torch.uint8)
    first, second = augment(images, generator(), always), augment(images, generator(), always)
    assert first.dtype == torch.uint8
    assert first.shape == images.shape
    assert torch.equal(first, second)
    assert not torch.equal(first, images)


def test_augmenting_leaves_the_given_images_alone(slices: torch.Tensor) -> None:
    images = slices.to(torch.uint8)
    before = images.clone()
    augment(images, generator())
    assert torch.equal(images, before)


def test_rerendering_separates_air_lung_and_tissue(slices: torch.Tensor) -> None:
    shown = rerender(slices.clone(), generator())
    air, lung, tissue = (shown[:, y, x] for y, x in ((2, 2), (30, 20), (32, 32)))
    differs = (air - lung).abs() > 10
    assert differs.float().mean() > 0.2
    assert ((tissue - lung).abs() > 10).float().mean() > 0.6
    assert len(air.round().unique()) > 10


def test_behind_a_black_background_no_window_is_applied_but_other_greys_are(
    slices: torch.Tensor,
) -> None:
    black = (slices - 101).clamp(min=0)
    shown = rerender(black.clone(), generator())
    background, tissue = shown[:, 2, 2], shown[:, 32, 32]
    assert (tissue == black[:, 32, 32]).all()  # an MRI is not shown in a lung window
    assert len(background.round().unique()) > 10
    windowed = rerender(slices.clone(), generator())[:, 32, 32]
    assert (windowed != slices[:, 32, 32]).float().mean() > 0.4


def test_rerendering_leaves_an_image_without_a_flat_background_alone() -> None:
    images = torch.randint(0, 256, (8, 64, 64), generator=generator()).float()
    assert torch.equal(rerender(images.clone(), generator()), images)


def test_the_flat_background_is_found(slices: torch.Tensor) -> None:
    level, is_flat = flat_background(slices)
    assert is_flat.all()
    assert (level == 101).all()


def test_unknown_images_are_varied_and_the_same_for_the_same_seed() -> None:
    images = unknown_images(2 * len(MAKERS), seed=4)
    assert images.dtype == np.uint8
    assert images.shape == (2 * len(MAKERS), 64, 64)
    assert (images == unknown_images(2 * len(MAKERS), seed=4)).all()
    assert (images[: len(MAKERS)] != images[len(MAKERS) :]).any((1, 2)).mean() > 0.9


def test_overlays_draw_something_on_most_of_an_empty_picture() -> None:
    masks = overlays()
    assert (masks > 0).any(2).any(1).float().mean() > 0.9
    assert (masks > 0).float().mean() < 0.3
