"""Data sets kept on this machine and on S3 (here: the store in memory; tests/services has the real
one).
"""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.small_sets import FILES, zipped

from medloop.core.data.datasets import Dataset
from medloop.core.imaging.decode import encode_png
from medloop.errors import DatasetError, NotFoundError, StoreError
from medloop.stores.datasets import DatasetStore, bundled_sample, split_alike
from medloop.stores.objects import ObjectStore


@pytest.fixture
def imported(tmp_path: Path) -> tuple[DatasetStore, Dataset]:
    store = DatasetStore(tmp_path / "home", ObjectStore.in_memory())
    return store, store.import_path(
        zipped(tmp_path / "archive.zip", FILES), note="from the archive"
    ).dataset


def same(a: Dataset, b: Dataset) -> bool:
    arrays = all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for name in ("images", "targets", "groups")
    )
    return arrays and (a.id, a.labels, a.names) == (b.id, b.labels, b.names)


def test_without_an_id_it_is_the_sample(tmp_path: Path) -> None:
    store = DatasetStore(tmp_path / "nothing here yet")
    assert store.get().id == store.get(bundled_sample().id).id == bundled_sample().id
    assert store.ids() == [bundled_sample().id]
    assert store.labels() == bundled_sample().labels
    assert not (tmp_path / "nothing here yet").exists()


def test_what_was_imported_is_there_again(imported: tuple[DatasetStore, Dataset]) -> None:
    store, dataset = imported
    assert same(store.get(dataset.id), dataset)
    assert store.labels(dataset.id) == dataset.labels
    assert store.ids() == [bundled_sample().id, dataset.id]
    about = store.info(dataset.id)
    assert (about.images, about.source, about.groups_from, about.note) == (
        4,
        "archive.zip",
        "computed",
        "from the archive",
    )


def test_the_full_set_splits_as_the_sample_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies of a part of the sample stand for it, under the examinations' numbers."""
    sample, rows = bundled_sample(), ["file,group"]
    for i in range(0, len(sample.images), 25):
        name = f"{sample.labels[sample.targets[i]]}/{i:05}.png"
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(encode_png(sample.images[i]))
        rows.append(f"{name},{sample.groups[i]}")
    (tmp_path / "set" / "groups.csv").write_text("\n".join(rows))
    store = DatasetStore(tmp_path / "home")
    full = store.import_path(tmp_path / "set").dataset.id
    assert store.largest_alike(sample.id) == sample.id
    monkeypatch.setattr("medloop.stores.datasets.FULL_SET", full)
    for part in ("train", "validation", "test"):
        groups = store.get(full).groups[getattr(store.get(full).split(), part)]
        assert set(groups) <= set(sample.groups[getattr(sample.split(), part)])
    assert split_alike(sample.id) == split_alike(full) == {sample.id, full}
    assert store.largest_alike(sample.id) == full
    assert DatasetStore(tmp_path / "elsewhere").largest_alike(full) == sample.id


def test_importing_twice_keeps_one(imported: tuple[DatasetStore, Dataset], tmp_path: Path) -> None:
    store, dataset = imported
    assert store.import_path(tmp_path / "archive.zip").dataset.id == dataset.id
    assert len(store.ids()) == 2
    assert not list((tmp_path / "home" / "datasets").glob("*.part"))


def test_another_machine_gets_what_was_published(
    imported: tuple[DatasetStore, Dataset], tmp_path: Path
) -> None:
    store, dataset = imported
    assert store.publish(dataset) is True
    assert store.publish(dataset) is False
    other = DatasetStore(tmp_path / "other", store._objects)
    assert same(other.get(dataset.id), dataset)
    assert DatasetStore(tmp_path / "other").info(dataset.id) == store.info(dataset.id)
    assert same(DatasetStore(tmp_path / "other").get(dataset.id), dataset)
    with pytest.raises(NotFoundError, match="no object store"):
        DatasetStore(tmp_path / "third").labels(dataset.id)


def test_a_large_set_goes_in_parts_and_comes_back_whole(tmp_path: Path) -> None:
    objects = ObjectStore.in_memory()
    sample, steps = bundled_sample(), []
    DatasetStore(tmp_path, objects).publish(sample, lambda *step: steps.append(step))
    assert steps == [(1.0, "publishing")]
    keys = sorted(info.key.rpartition("/")[2] for info in objects.list(f"datasets/{sample.id}/"))
    assert keys == ["images-00000.npy", "images-00001.npy", "manifest.json", "table.npz"]
    assert same(DatasetStore(tmp_path / "other", objects)._download(sample.id), sample)


def test_a_publication_that_broke_off_is_completed(imported: tuple[DatasetStore, Dataset]) -> None:
    """The manifest comes last: without it, nobody takes the parts for a data set."""
    store, dataset = imported
    store.publish(dataset)
    store._objects.delete(f"datasets/{dataset.id}/manifest.json")
    store._objects.delete(f"datasets/{dataset.id}/table.npz")
    assert store.publish(dataset) is True
    assert (
        json.loads(store._objects.get(f"datasets/{dataset.id}/manifest.json"))["id"] == dataset.id
    )


def test_damage_is_noticed_here_and_on_s3(
    imported: tuple[DatasetStore, Dataset], tmp_path: Path
) -> None:
    store, dataset = imported
    store.publish(dataset)
    file = tmp_path / "home" / "datasets" / f"{dataset.id}.npz"
    raw = bytearray(file.read_bytes())
    raw[2000] ^= 1
    file.write_bytes(raw)
    with pytest.raises(DatasetError, match="import it again"):
        store.get(dataset.id)
    key = f"datasets/{dataset.id}/images-00000.npy"
    store._objects.put(key, store._objects.get(key)[:-1] + b"\0")
    with pytest.raises(DatasetError, match="damaged"):
        DatasetStore(tmp_path / "other", store._objects).get(dataset.id)


def test_an_unknown_id_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no object store is set up"):
        DatasetStore(tmp_path).get("0" * 16)
    with pytest.raises(NotFoundError, match="neither here nor in the store in memory"):
        DatasetStore(tmp_path, ObjectStore.in_memory()).get("0" * 16)
    with pytest.raises(NotFoundError, match="data list"):
        DatasetStore(tmp_path).info("0" * 16)
    with pytest.raises(DatasetError, match="is no id"):
        DatasetStore(tmp_path).get("../../etc/passwd")
    with pytest.raises(StoreError, match="No object store"):
        DatasetStore(tmp_path).publish(bundled_sample())
