import numpy as np
from tests.events import image

from medloop.core.corrections.holdout import ROWS, copies, is_holdout, look, twin_groups, twins

IMAGES = np.stack([image(seed) for seed in range(2000)])


def test_about_a_tenth_is_held_out() -> None:
    assert 0.08 < is_holdout(IMAGES).mean() < 0.12


def test_it_depends_on_the_image_alone() -> None:
    order = np.random.default_rng(0).permutation(len(IMAGES))
    assert (is_holdout(IMAGES[order]) == is_holdout(IMAGES)[order]).all()
    assert bool(is_holdout(IMAGES[:1])[0]) == bool(is_holdout(IMAGES)[0])


def test_it_never_changes() -> None:
    """Golden: another choice would let what was held out be trained on."""
    assert np.flatnonzero(is_holdout(IMAGES[:60])).tolist() == [14, 23, 28, 31, 35, 45, 51]


def test_a_brighter_copy_looks_the_same() -> None:
    dimmed = (IMAGES.astype(np.float32) * 0.9 + 20).astype(np.uint8)
    same = [
        bin(int(a) ^ int(b)).count("1") for a, b in zip(look(IMAGES), look(dimmed), strict=True)
    ]
    assert np.mean(same) < 2


def test_near_copies_of_held_out_images_are_found_and_others_are_not() -> None:
    held_out, others = IMAGES[:100], IMAGES[100:]
    noise = np.random.default_rng(0).normal(0, 6, held_out.shape)
    copies = np.clip(held_out * 0.8 + 15 + noise, 0, 255).astype(np.uint8)
    assert twins(copies, held_out).mean() > 0.9
    assert twins(others, held_out).mean() < 0.01


def test_flat_and_no_images_are_nobodys_twins() -> None:
    flat = np.full((3, 64, 64), 7, dtype=np.uint8)
    assert not twins(flat, flat).any()
    assert twins(IMAGES[:3], IMAGES[:0]).tolist() == [False] * 3
    assert twins(IMAGES[:0], IMAGES[:3]).tolist() == []
    assert is_holdout(IMAGES[:0]).tolist() == []


def test_near_copies_are_found_beyond_the_first_block_of_either_side() -> None:
    many = np.concatenate([IMAGES, IMAGES[:, ::-1], IMAGES[:, :, ::-1]])[: ROWS + 500]
    last = many[ROWS:]
    assert twins(last, many).all()
    assert twins(many, last)[ROWS:].all()
    assert twins(many, last)[:ROWS].mean() < 0.1


def test_copies_are_equal_or_near_and_flat_ones_only_equal() -> None:
    flat = np.stack([np.full((64, 64), level, dtype=np.uint8) for level in (7, 8)])
    brighter = np.minimum(IMAGES[:2], 254) + 1
    assert copies(
        np.concatenate([flat, brighter]), np.concatenate([flat[:1], IMAGES[:1]])
    ).tolist() == [
        True,
        False,
        True,
        False,
    ]
    assert copies(flat, IMAGES[:0]).tolist() == [False, False]
    assert copies(IMAGES[:0], flat).tolist() == []


def test_near_copies_stand_or_fall_together() -> None:
    """Slices of one scan are near copies of their neighbours: what hangs together is one group."""
    scans = IMAGES[:5].astype(np.float32)
    slices = np.stack(
        [scans + 4 * depth * np.roll(scans, 20, axis=1) / 100 for depth in range(8)]
    )  # [depth, scan]
    pixels = np.clip(slices * 0.8, 0, 255).astype(np.uint8).reshape(40, 64, 64)
    assert twin_groups(pixels).tolist() == [0, 1, 2, 3, 4] * 8
    assert twin_groups(IMAGES[:100]).tolist() == list(range(100))
    assert twin_groups(IMAGES[:0]).tolist() == []
