"""Splits: by whole group, a tenth of each class, the same every time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medloop.core.data.splits import split
from medloop.stores.datasets import bundled_sample


def make(sizes_by_class: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    targets, groups = [], []
    for target, sizes in enumerate(sizes_by_class):
        for i, size in enumerate(sizes):
            targets += [target] * size
            groups += [target * 10_000 + i] * size
    return np.array(targets), np.array(groups)


sizes = st.lists(st.integers(1, 60), min_size=1, max_size=40)


@given(st.lists(sizes, min_size=1, max_size=4))
def test_every_image_is_in_one_part_and_no_group_in_two(sizes_by_class: list[list[int]]) -> None:
    targets, groups = make(sizes_by_class)
    parts = split(targets, groups)
    together = np.concatenate([parts.train, parts.validation, parts.test])
    assert np.array_equal(np.sort(together), np.arange(len(targets)))
    seen = [set(groups[part]) for part in (parts.train, parts.validation, parts.test)]
    assert sum(map(len, seen)) == len(set(groups))


@given(st.lists(sizes, min_size=1, max_size=4))
def test_three_groups_are_enough_for_images_in_each_part(sizes_by_class: list[list[int]]) -> None:
    targets, groups = make(sizes_by_class)
    parts = split(targets, groups)
    for target, members in enumerate(sizes_by_class):
        assert target in targets[parts.train]
        assert (target in targets[parts.test]) == (len(members) >= 2)
        assert (target in targets[parts.validation]) == (len(members) >= 3)


def test_unequal_groups_still_give_about_a_tenth_from_several_groups() -> None:
    """The groups of AbdomenCT in Medical MNIST: 19, the largest a fifth of all."""
    abdomen = [
        1714,
        1392,
        779,
        745,
        684,
        532,
        520,
        482,
        434,
        272,
        241,
        194,
        188,
        168,
        137,
        131,
        98,
        83,
        75,
    ]
    targets, groups = make([abdomen])
    for seed in range(20):
        parts = split(targets, groups, seed=seed)
        for part in (parts.test, parts.validation):
            assert 0.08 < len(part) / len(targets) < 0.13
            assert len(set(groups[part])) >= 2


def test_another_class_changes_nothing() -> None:
    targets, groups = make([[5] * 40, [7] * 30])
    alone = split(targets[targets == 0], groups[targets == 0])
    both = split(targets, groups)
    assert np.array_equal(both.test[targets[both.test] == 0], alone.test)
    assert np.array_equal(both.validation[targets[both.validation] == 0], alone.validation)


def test_the_order_of_the_images_changes_nothing() -> None:
    targets, groups = make([[3] * 50, [2] * 40])
    order = np.random.default_rng(0).permutation(len(targets))
    test = np.zeros(len(targets), dtype=bool)
    test[split(targets, groups).test] = True
    assert set(split(targets[order], groups[order]).test) == set(np.flatnonzero(test[order]))


def test_a_group_that_spans_classes_stays_whole() -> None:
    """One patient with a hand and a chest: both images on the same side."""
    targets = np.repeat([0, 1], 100)
    groups = np.tile(np.arange(100), 2)
    parts = split(targets, groups)
    assert not set(groups[parts.train]) & set(groups[parts.test])
    assert len(parts.test) == len(parts.validation) == 20


def test_placed_groups_stay_and_the_others_make_up_the_tenths() -> None:
    targets, groups = make([[1] * 200])
    placed = {int(group): part for group, part in zip(groups[:30], [0, 1, 2] * 10, strict=True)}
    parts = split(targets, groups, placed=placed)
    for part, rows in enumerate((parts.train, parts.validation, parts.test)):
        assert {group for group, at in placed.items() if at == part} <= set(groups[rows].tolist())
    assert len(parts.test) == len(parts.validation) == 20


def test_the_seed_moves_groups() -> None:
    targets, groups = make([[1] * 200])
    assert not np.array_equal(split(targets, groups).test, split(targets, groups, seed=1).test)


@pytest.mark.parametrize("part", ["validation", "test"])
def test_the_sample_gives_each_class_a_tenth_from_other_groups(part: str) -> None:
    sample = bundled_sample()
    chosen = getattr(split(sample.targets, sample.groups), part)
    counts = np.bincount(sample.targets[chosen], minlength=6)
    assert counts.min() >= 95
    assert counts.max() <= 110
    assert all(len(set(sample.groups[chosen][sample.targets[chosen] == c])) >= 2 for c in range(6))
