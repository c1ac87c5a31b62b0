"""Data sets on a real S3: published on one machine, trained on by another."""

from pathlib import Path

import numpy as np
import pytest
from tests.servers import SeaweedFS
from tests.small_sets import FILES, zipped

from medloop.settings import Settings
from medloop.stores.datasets import DatasetStore, bundled_sample
from medloop.stores.objects import ObjectStore

pytestmark = pytest.mark.services


def test_what_one_machine_publishes_another_can_get(
    seaweedfs: SeaweedFS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in seaweedfs.environment.items():
        monkeypatch.setenv(name, value)
    here = DatasetStore(tmp_path / "here", ObjectStore.from_settings(Settings()))
    dataset = here.import_path(zipped(tmp_path / "a.zip", FILES)).dataset
    assert here.publish(dataset)
    assert not here.publish(dataset)
    there = DatasetStore(tmp_path / "there", ObjectStore.from_settings(Settings()))
    found = there.get(dataset.id)
    assert (found.id, found.labels, found.names) == (dataset.id, dataset.labels, dataset.names)
    assert np.array_equal(found.images, dataset.images)


def test_the_sample_can_be_published_too(
    seaweedfs: SeaweedFS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in seaweedfs.environment.items():
        monkeypatch.setenv(name, value)
    objects = ObjectStore.from_settings(Settings())
    DatasetStore(tmp_path, objects).publish(bundled_sample())
    parts = [
        info
        for info in objects.list(f"datasets/{bundled_sample().id}/")
        if info.key.endswith(".npy")
    ]
    assert sum(part.size_bytes for part in parts) == pytest.approx(6000 * 64 * 64, rel=0.01)
