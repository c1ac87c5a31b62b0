"""Data sets in memory: one order of the labels, ids by content, what shows nothing or repeats."""

import zipfile

import numpy as np
import pytest

from medloop.core.data.data_summary import picture, summarise
from medloop.core.data.datasets import Dataset, blank, exact_duplicates, scored
from medloop.errors import DatasetError
from medloop.stores.datasets import SAMPLE, bundled_sample, sample_file


def build(names: list[str], *, seed: int = 0, groups: list[int] | None = None) -> Dataset:
    by_name = {
        n: np.random.default_rng([seed, *n.encode()]).integers(0, 256, (64, 64), np.uint8)
        for n in names
    }
    return Dataset.build(
        images=np.stack([by_name[name] for name in names]),
        classes=[name.split("/")[0] for name in names],
        groups=np.array(groups or [len(name) for name in names]),
        names=names,
    )


NAMES = ["Hand/1", "CXR/1", "ChestCT/1", "Hand/2"]


def test_labels_have_one_order_whatever_order_the_files_come_in() -> None:
    """The published system numbered CXR and ChestCT one way in training and the other way in
    serving.
    """
    dataset, shuffled = build(NAMES), build(NAMES[::-1])
    assert dataset.labels == ("CXR", "ChestCT", "Hand")
    assert [dataset.labels[target] for target in dataset.targets] == [
        name.split("/")[0] for name in dataset.names
    ]
    assert shuffled.id == dataset.id
    assert np.array_equal(shuffled.images, dataset.images)


def test_any_change_of_content_changes_the_id() -> None:
    ids = {
        build(NAMES).id,
        build(NAMES, seed=1).id,
        build(NAMES, groups=[1, 2, 3, 4]).id,
        build(NAMES[:3]).id,
    }
    ids.add(build([*NAMES[:3], "Hand/3"]).id)
    assert len(ids) == 5


@pytest.mark.parametrize(
    ("names", "sentence"),
    [(["Hand/1", "Hand/2"], "two classes or more"), (["Hand/1", "CXR/1", "CXR/1"], "same name")],
)
def test_a_data_set_of_no_use_is_refused(names: list[str], sentence: str) -> None:
    with pytest.raises(DatasetError, match=sentence):
        build(names)


def test_blank_images_are_found_whatever_their_background() -> None:
    noise = np.random.default_rng(0).integers(-3, 4, (64, 64))
    flat = [np.full((64, 64), grey) for grey in (0, 101, 255)]
    speck = np.full((64, 64), 25)
    speck[:5, :5] = 255
    shows_something = np.full((64, 64), 25)
    shows_something[:7, :7] = 255
    images = np.stack([*flat, flat[1] + noise, speck, shows_something]).astype(np.uint8)
    assert blank(images).tolist() == [True, True, True, True, True, False]


def test_only_the_first_of_exact_duplicates_is_scored() -> None:
    a, b = np.random.default_rng(0).integers(0, 256, (2, 64, 64), np.uint8)
    images = np.stack([a, b, a, np.zeros_like(a), a])
    assert exact_duplicates(images).tolist() == [0, 1, 0, 3, 0]
    assert scored(images).tolist() == [True, True, False, False, False]


def test_the_sample_is_varied_clean_and_small() -> None:
    sample = bundled_sample()
    assert sample.labels == ("AbdomenCT", "BreastMRI", "CXR", "ChestCT", "Hand", "HeadCT")
    assert np.bincount(sample.targets).tolist() == [1000] * 6
    assert scored(sample.images).all()
    assert [summary.groups for summary in summarise(sample)] == [19, 94, 1000, 81, 1000, 310]
    with sample_file() as path:
        assert path.name == SAMPLE
        assert path.stat().st_size <= 9_000_000
        assert "CC BY-SA 4.0" in zipfile.ZipFile(path).comment.decode()
        assert "Attribution-ShareAlike 4.0" in (path.parent / "LICENSE").read_text("utf-8")


def test_the_sample_cannot_be_changed_by_accident() -> None:
    with pytest.raises(ValueError, match="read-only"):
        bundled_sample().images[0, 0, 0] = 1


def test_the_summary_counts_each_image_once() -> None:
    dataset = build(
        [f"{label}/{i}" for label in ("a", "b") for i in range(30)],
        groups=[i // 2 for i in range(60)],
    )
    for summary in summarise(dataset):
        assert (summary.images, summary.groups) == (30, 15)
        assert summary.train + summary.validation + summary.test == 30
    sheet = picture(dataset, summarise(dataset))
    assert sheet.mode == "RGB"
    assert len(sheet.getcolors(2**24) or []) > 100
