"""Near-duplicates: slices of one examination end up together, strangers do not."""

import numpy as np
import pytest

from medloop.core.data.groups import near_duplicate_groups
from medloop.core.data.splits import split
from medloop.stores.datasets import bundled_sample


def series(n_exams: int, n_slices: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Examinations whose slices change smoothly: blobs that move a little from slice to slice."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :64]
    images, exams = [], []
    for exam in range(n_exams):
        centres = generator.uniform(8, 56, (12, 2))
        drift = generator.normal(0, 0.15, (12, 2))
        widths, heights = generator.uniform(3, 9, 12), generator.uniform(20, 90, 12)
        for i in range(n_slices):
            moved = centres + i * drift
            blobs = [
                h * np.exp(-((y - a) ** 2 + (x - b) ** 2) / (2 * w * w))
                for (a, b), w, h in zip(moved, widths, heights, strict=True)
            ]
            images.append(np.clip(20 + np.sum(blobs, axis=0), 0, 255).astype(np.uint8))
            exams.append(exam)
    return np.stack(images), np.array(exams)


@pytest.mark.parametrize("n_exams", [12, 60], ids=["too few to whiten", "whitened"])
def test_slices_of_an_examination_share_a_group_and_strangers_do_not(n_exams: int) -> None:
    images, exams = series(n_exams, 8, seed=0)
    groups = near_duplicate_groups(images, targets=np.zeros(len(images), dtype=np.int64))
    assert all(len(set(exams[groups == group])) == 1 for group in set(groups))
    alone = sum(len(set(groups[exams == exam])) - 1 for exam in range(n_exams))
    assert alone <= 0.05 * len(images)


def test_a_split_by_computed_groups_leaves_few_twins_in_training() -> None:
    """The sample holds every tenth slice or so, and still a third of its AbdomenCT has a twin in a
    split by file.
    """
    sample = bundled_sample()
    chosen = np.isin(sample.targets, [0, 1])
    images, targets, given = sample.images[chosen], sample.targets[chosen], sample.groups[chosen]
    leaks = []
    for groups in (np.arange(len(images)), near_duplicate_groups(images, targets=targets)):
        parts = split(targets, groups)
        pixels = images.reshape(len(images), -1)[:, ::4].astype(np.float32)
        test, train = pixels[parts.test], pixels[parts.train]
        nearest = ((train**2).sum(axis=1) - 2 * test @ train.T).argmin(axis=1)
        leaks.append((given[parts.train][nearest] == given[parts.test]).mean())
    assert leaks[0] > 0.7
    assert leaks[1] < 0.65 * leaks[0]


def test_the_order_of_the_images_and_other_classes_change_nothing() -> None:
    images, _ = series(10, 6, seed=1)
    others, _ = series(5, 6, seed=2)
    targets = np.zeros(len(images), dtype=np.int64)
    alone = near_duplicate_groups(images, targets=targets)
    order = np.random.default_rng(0).permutation(len(images))
    assert np.array_equal(near_duplicate_groups(images[order], targets=targets), alone[order])
    both = near_duplicate_groups(
        np.concatenate([others, images]), targets=np.repeat([1, 0], [len(others), len(images)])
    )
    assert np.array_equal(both[len(others) :], alone)


def test_exact_duplicates_share_a_group_even_across_classes_and_in_any_number() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 64, 64), np.uint8)
    images = np.concatenate(
        [noise, np.repeat(noise[:1], 30, axis=0), np.zeros((30, 64, 64), np.uint8)]
    )
    groups = near_duplicate_groups(images, targets=np.arange(100) % 2)
    assert len(set(groups[[0, *range(40, 70)]])) == 1
    assert len(set(groups[70:])) == 1
    assert len(set(groups)) == 41


def test_no_group_chains_through_a_whole_class() -> None:
    """One long chain of neighbours would leave nothing to test on."""
    images, _ = series(1, 400, seed=3)
    groups = near_duplicate_groups(images, targets=np.zeros(400, dtype=np.int64))
    assert np.unique(groups, return_counts=True)[1].max() <= 40


@pytest.mark.parametrize("n", [0, 1, 2])
def test_tiny_classes_are_grouped_too(n: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (n, 64, 64), np.uint8)
    assert len(set(near_duplicate_groups(images, targets=np.zeros(n, dtype=np.int64)))) == n
