"""What is said of a data set before anybody trains on it."""

from __future__ import annotations

import numpy as np
import pytest

from medloop.core.data.data_summary import picture, summarise, warnings
from medloop.core.data.datasets import Dataset


def dataset(images: np.ndarray, classes: list[str]) -> Dataset:
    names = [f"{i:04}" for i in range(len(images))]
    return Dataset.build(images=images, classes=classes, groups=np.arange(len(images)), names=names)


def noisy(levels: list[int]) -> np.ndarray:
    """One image per level, of that brightness."""
    noise = np.random.default_rng(0).normal(0, 10, (len(levels), 64, 64))
    return np.clip(np.array(levels)[:, None, None] + noise, 0, 255).astype(np.uint8)


def test_classes_of_one_size_that_differ_in_grey_need_no_warning() -> None:
    made = dataset(noisy([60] * 40 + [180] * 30), ["dark"] * 40 + ["light"] * 30)
    assert list(warnings(made)) == []


def test_a_rare_class_is_named_with_its_number() -> None:
    made = dataset(noisy([60] * 100 + [180] * 8), ["dark"] * 100 + ["light"] * 8)
    (sentence,) = warnings(made)
    assert sentence.startswith("light is rare: 8 images beside 100 of dark.")


@pytest.mark.parametrize("n", [10, 60])
def test_classes_that_look_alike_in_grey_are_told(n: int) -> None:
    """As those that differ by hue alone: all that is left of them is the same luminance."""
    made = dataset(noisy([120] * 3 * n), ["red"] * n + ["green"] * n + ["blue"] * n)
    (sentence,) = warnings(made)
    assert "differ by colour alone" in sentence


def test_a_summary_counts_each_class_once_and_is_drawn() -> None:
    images = noisy([60] * 20 + [180] * 12)
    images[1], images[25] = images[0], 7  # a double and a blank
    summaries = summarise(dataset(images, ["dark"] * 20 + ["light"] * 12))
    counted = [(s.label, s.images, s.groups, s.duplicates, s.blanks) for s in summaries]
    assert counted == [("dark", 20, 20, 1, 0), ("light", 12, 12, 0, 1)]
    assert [s.train + s.validation + s.test for s in summaries] == [20, 12]
    assert picture(dataset(images, ["a"] * 20 + ["b"] * 12), summaries).height > 200
