"""Training and registering, over a registry in memory: real trainings, of three steps."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.app.registry import MemoryRegistry
from tests.corrections_world import World

from medloop.core.learn.recipe import TrainingConfig
from medloop.errors import StaleError
from medloop.jobs.reproduce import reproduce
from medloop.jobs.snapshot import snapshot
from medloop.jobs.train import train
from medloop.stores.datasets import DatasetStore
from medloop.stores.lease import Lease
from medloop.stores.objects import ObjectStore
from medloop.stores.registry import TRAINING_FENCE, WEIGHTS_FILE, ModelVersion
from medloop.stores.training_run import TrainingRun

pytestmark = pytest.mark.slow

SHORT = replace(TrainingConfig.smoke(), steps=3)
KEY = "leases/training.json"


class SlowRegistry(MemoryRegistry):
    """Something happens while a training is being logged."""

    meanwhile: Callable[[], None] = staticmethod(lambda: None)

    def register(self, run: TrainingRun, *, confirm: Callable[[], object] = bool) -> ModelVersion:
        self.meanwhile()
        return super().register(run, confirm=confirm)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A champion whose weights are no weights, and one correction in a snapshot."""
    registry = SlowRegistry()
    labels = ["AbdomenCT", "BreastMRI", "CXR", "ChestCT", "Hand", "HeadCT"]
    registry.add(b"", tags={"labels": json.dumps(labels), "weights_sha256": "w"}, **{WEIGHTS_FILE: b"no weights"})
    made = World(ObjectStore.in_memory(), tmp_path, registry=registry, device="cpu")
    lease = Lease(made.objects, KEY, now=lambda: made.now)
    made.loop = replace(made.loop, lease=lease, datasets=DatasetStore(tmp_path / "data", made.objects))
    made.correct(1)
    return made


def test_from_scratch_takes_no_weights_of_the_champion_and_can_be_reproduced(world: World) -> None:
    snapshot_id = snapshot(world.loop).snapshot_id
    with pytest.raises(Exception, match=r"(?i)header"):
        train(world.loop, snapshot_id=snapshot_id, config=SHORT)  # this one reads them
    trained = train(world.loop, snapshot_id=snapshot_id, from_scratch=True, config=SHORT)
    tags = world.loop.registry.get(trained.version).tags
    assert (tags["parent_version"], tags["snapshot_id"], tags[TRAINING_FENCE]) == ("", snapshot_id, "2")
    assert train(world.loop, snapshot_id=snapshot_id, from_scratch=True, config=SHORT).reused

    again = reproduce(world.loop, version=trained.version)
    assert (again.same, again.note) == (True, "")
    files = world.loop.registry.files
    recorded = json.loads(files[trained.version, "environment.json"])
    files[trained.version, "environment.json"] = json.dumps({**recorded, "torch": "1.0"}).encode()
    world.loop.registry.set_tags(trained.version, {"weights_sha256": "another"})
    assert reproduce(world.loop, version=trained.version).note == f"torch was 1.0 and is {recorded['torch']}"


def test_a_training_that_slept_through_its_lease_while_it_was_logged_makes_no_version(world: World) -> None:
    def sleep() -> None:
        world.now += timedelta(seconds=61)
        with Lease(world.objects, KEY, now=lambda: world.now).hold("somebody else"):
            pass

    world.loop.registry.meanwhile = sleep
    snapshot_id = snapshot(world.loop).snapshot_id
    with pytest.raises(StaleError, match="lease"):
        train(world.loop, snapshot_id=snapshot_id, from_scratch=True, config=SHORT)
    assert [version.version for version in world.loop.registry.versions()] == ["1"]
