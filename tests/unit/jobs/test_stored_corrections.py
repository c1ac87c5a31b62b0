"""What `medloop doctor` says of the corrections themselves: nothing that was said goes
unnoticed.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from tests.corrections_world import World

from medloop.core.corrections.events import image_key
from medloop.errors import StoreError
from medloop.jobs.snapshot import snapshot
from medloop.jobs.stored_corrections import Census, take_census
from medloop.stores.objects import ObjectStore
from medloop.stores.outbox import Outbox


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Three corrections in the store, and in a snapshot."""
    world = World(ObjectStore.in_memory(), tmp_path)
    for seed in range(3):
        world.correct(seed)
    snapshot(world.context)
    return world


def census(world: World, **what: object) -> Census:
    return take_census(world.objects, world.context.outbox, **what)  # type: ignore[arg-type]


def elsewhere(world: World, tmp_path: Path) -> Census:
    """As on a machine whose outbox knows nothing."""
    return take_census(world.objects, Outbox(tmp_path / "another" / "outbox.db"))


def keys(world: World, folder: str) -> list[str]:
    return [info.key for info in world.objects.list(folder)]


def test_a_whole_store_has_no_losses(world: World) -> None:
    assert census(world) == Census(corrections=3, reviews=0, sampled=3, losses=())


def test_a_wiped_bucket_is_told_by_the_outbox(world: World) -> None:
    for key in keys(world, ""):
        world.objects.delete(key)
    (loss,) = census(world).losses
    assert loss.startswith("3 events that this machine stored are gone or damaged (such as ")


def test_a_wiped_bucket_is_told_by_the_registry(world: World, tmp_path: Path) -> None:
    learned = {"2": world.context.snapshots.ids()[0]}
    assert census(world, trained_on=learned).losses == ()
    for key in keys(world, ""):
        world.objects.delete(key)
    losses = take_census(world.objects, Outbox(tmp_path / "no.db"), trained_on=learned).losses
    (loss,) = losses
    assert loss.startswith("1 snapshots that versions learned from are gone")
    assert f"{learned['2']} of version 2" in loss


def test_an_event_that_a_snapshot_knows_is_missed(world: World, tmp_path: Path) -> None:
    world.objects.delete(keys(world, "corrections")[0])
    (loss,) = elsewhere(world, tmp_path).losses
    assert loss.startswith("1 events of the latest snapshot are gone")


def test_a_lost_shard_of_events_is_counted(world: World) -> None:
    world.objects.delete(keys(world, "snapshots/events")[0])
    assert [loss.partition(" has ")[2] for loss in census(world).losses] == ["0 of its 3 events"]


@pytest.mark.parametrize("change", ["gone", "another", "no picture"])
def test_an_image_that_is_not_what_was_corrected_is_named(world: World, change: str) -> None:
    key, other = keys(world, "images")[:2]
    if change == "gone":
        world.objects.delete(key)
    else:
        world.objects.put(key, world.objects.get(other) if change == "another" else b"x")
    (loss,) = census(world).losses
    assert loss.startswith("1 corrections of the sample, or their images, are gone or damaged")
    assert "corrections/dt=" in loss


def test_an_erased_image_is_no_loss(world: World) -> None:
    sha256 = world.correct(9)
    world.context.corrections.erase_image(sha256)
    assert world.objects.find(image_key(sha256)) is None
    assert census(world).losses == ()


def test_half_an_event_is_named(world: World) -> None:
    key = keys(world, "corrections")[0]
    world.objects.put(key, world.objects.get(key)[:20])
    (loss,) = census(world).losses
    assert loss.endswith(f"(such as {key})")


def test_a_damaged_outbox_is_not_taken_for_an_empty_one(world: World, tmp_path: Path) -> None:
    path = tmp_path / "damaged.db"
    with sqlite3.connect(tmp_path / "outbox.db") as whole:
        whole.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = (tmp_path / "outbox.db").read_bytes()
    path.write_bytes(data[:4096] + b"\xff" * 8192 + data[12288:])
    with pytest.raises(StoreError, match="keep the file"):
        Outbox(path).stored_ids()
