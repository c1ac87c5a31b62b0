"""Weights travel by label, and the input's brightness and contrast do not matter."""

from __future__ import annotations

import torch

from medloop.core.learn.network import (
    Network,
    saved_labels,
    to_safetensors,
    two_views,
    warm_start,
    weights_sha256,
)


def test_standardised_images_forget_brightness_and_contrast() -> None:
    image = torch.randint(60, 120, (1, 64, 64), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        two_views(image)[:, 0], two_views(image * 2 - 60)[:, 0], atol=0.05, rtol=0.05
    )


def test_a_blank_image_standardises_to_zeros() -> None:
    assert two_views(torch.full((1, 64, 64), 25))[:, 0].abs().max() < 1e-4


def test_a_warm_start_moves_head_rows_by_label() -> None:
    torch.manual_seed(0)
    old, new = Network(2), Network(3)
    fresh_row = new.head.weight[1].clone()
    warm_start(new, ("b", "new", "a"), to_safetensors(old, ("a", "b")))
    assert torch.equal(new.head.weight[0], old.head.weight[1])
    assert torch.equal(new.head.weight[2], old.head.weight[0])
    assert torch.equal(new.head.weight[3], old.head.weight[2])
    assert torch.equal(new.head.weight[1], fresh_row)


def test_saved_weights_restore_equal_and_name_their_labels() -> None:
    torch.manual_seed(1)
    network, other = Network(2), Network(2)
    weights = to_safetensors(network, ("a", "b"))
    warm_start(other, ("a", "b"), weights)
    assert weights_sha256(other) == weights_sha256(network)
    assert saved_labels(weights) == ("a", "b")
