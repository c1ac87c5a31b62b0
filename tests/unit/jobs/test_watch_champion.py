"""The watch over the store in memory: what it counts, and how little it reads."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.app.registry import MemoryRegistry
from tests.corrections_world import World
from tests.events import correction, image, sha256_of

from medloop.core.imaging.decode import content_sha256
from medloop.jobs.promote import promote
from medloop.jobs.promotion_watch import watch
from medloop.jobs.snapshot import snapshot
from medloop.stores.lease import Lease
from medloop.stores.objects import ObjectStore
from medloop.stores.predictions import PredictionLine, PredictionLog


class Counted(ObjectStore):
    """A store that remembers what was read."""

    read: list[str]

    def get(self, key: str, *, at_most: int | None = None) -> bytes:
        self.read.append(key)
        return super().get(key, at_most=at_most)


@pytest.fixture
def world(tmp_path: Path) -> World:
    registry = MemoryRegistry()
    objects = Counted.in_memory()
    objects.read = []
    made = World(objects, tmp_path, registry=registry)
    log = PredictionLog(objects, now=lambda: made.now, random=os.urandom)
    lease = Lease(objects, "leases/promotion.json", now=lambda: made.now)
    made.context = replace(made.context, predictions=log, promotion_lease=lease)
    registry.add(b"")
    registry.add(b"")
    return made


def answer(world: World, numbers: range, *, version: str, wrong: int) -> None:
    """People answer to one picture each; the first `wrong` of them disagree with the version."""
    for place, number in enumerate(numbers):
        label = "Hand" if place < wrong else "CXR"
        shown = image(number)
        event = correction(content_sha256(shown), label, at=world.tick(), model_version=version)
        world.store(event, shown)


def promoted(world: World) -> None:
    world.pass_days(1)
    promote(world.context, version="2", by="ada", reason="it looked better", force=True)
    world.now += timedelta(hours=1)


def test_answers_count_whether_a_snapshot_holds_them_or_not_yet(world: World) -> None:
    answer(world, range(40), version="1", wrong=3)
    promoted(world)
    answer(world, range(100, 110), version="2", wrong=8)
    snapshot(world.context)
    answer(world, range(110, 120), version="2", wrong=8)
    found = watch(world.context, dry_run=True)
    assert found.alarm
    assert "16 of 20 images (80.0 %), before the promotion 3 of 40 (7.5 %)" in found.reasons[0]


def test_what_a_snapshot_holds_is_not_read_one_by_one(world: World) -> None:
    answer(world, range(300), version="1", wrong=3)
    promoted(world)
    snapshot(world.context)
    answer(world, range(300, 310), version="2", wrong=0)
    world.objects.read.clear()
    watch(world.context)
    assert len([key for key in world.objects.read if key.startswith("corrections/")]) == 10


def test_answers_of_long_ago_and_of_an_earlier_term_do_not_count(world: World) -> None:
    answer(world, range(5), version="1", wrong=5)
    world.pass_days(31)
    answer(world, range(10, 20), version="1", wrong=0)
    answer(world, range(20, 30), version="2", wrong=10)
    promoted(world)
    answer(world, range(30, 40), version="2", wrong=0)
    snapshot(world.context)
    assert "0 of 10 images (0.0 %), before the promotion 0 of 10" in watch(world.context).reasons[0]


def test_predictions_are_read_once_for_both_versions(world: World) -> None:
    def predicted(version: str, first: int, unknown: int) -> None:
        world.context.predictions.add(
            PredictionLine(
                at=world.now.isoformat(),
                image_sha256=sha256_of(first + number),
                label="Hand",
                confidence=0.9,
                verdict="unknown" if number < unknown else "confident",
                ood_score=0.0,
                model_version=version,
                source="page",
            )
            for number in range(100)
        )
        world.context.predictions.flush()

    predicted("1", 0, 5)
    promoted(world)
    predicted("2", 1000, 60)
    snapshot(world.context)
    world.objects.read.clear()
    found = watch(world.context)
    assert found.rolled_back
    assert "60 of 100 images (60.0 %), before the promotion 5 of 100 (5.0 %)" in found.reasons[1]
    assert len([key for key in world.objects.read if key.startswith("predictions/")]) == 2
