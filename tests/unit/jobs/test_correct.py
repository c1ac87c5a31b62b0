"""What a person says last counts, whatever the clock said meanwhile."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from tests.corrections_world import World

from medloop.core.corrections.fold import ImageState, fold
from medloop.jobs.correct import withdraw
from medloop.jobs.snapshot import snapshot
from medloop.stores.objects import ObjectStore


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(ObjectStore.in_memory(), tmp_path)


def state(world: World, sha256: str) -> ImageState:
    taken = world.context.snapshots.manifest(snapshot(world.context).snapshot_id)
    return fold(world.context.snapshots.all_events(taken))[sha256]


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_second_thought_counts_though_the_clock_was_set(world: World, hours: int) -> None:
    world.correct(1, "Hand")
    world.now += timedelta(hours=hours)
    sha256 = world.correct(1, "CXR")
    assert state(world, sha256).label == "CXR"
    world.now -= timedelta(hours=hours)
    world.correct(1, "Hand")
    assert state(world, sha256).label == "Hand"


def test_what_is_taken_back_stays_taken_back_though_the_clock_was_set(world: World) -> None:
    sha256 = world.correct(1, "Hand")
    world.now -= timedelta(hours=2)
    withdraw(world.context, image_sha256=sha256, who="ada")
    world.context.sender.send_once()
    assert state(world, sha256).status == "withdrawn"


def test_only_what_the_person_said_of_the_picture_moves_the_time(world: World) -> None:
    world.correct(1)
    world.now -= timedelta(hours=2)
    world.correct(2)
    world.correct(1, who="eve")
    first, *others = [item.event.id for item in world.context.outbox.history("ada")][::-1]
    assert others[0] < first
    (eve,) = world.context.outbox.history("eve")
    assert eve.event.id < first
