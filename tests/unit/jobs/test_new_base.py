"""Another base data set, over stores in memory: what is said, and when the reference moves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.corrections_world import BaseDataset
from tests.models import model
from tests.unit.jobs.test_evaluate import Untrained

from medloop.jobs.alias_moves import all_moves
from medloop.jobs.new_base import describe_new_base, is_another_base, settle_reference
from medloop.jobs.retrain import plan
from medloop.jobs.snapshot import snapshot
from medloop.stores.datasets import FULL_SET, bundled_sample
from medloop.stores.registry import CHAMPION, REFERENCE

OTHER = "0123456789abcdef"


@pytest.fixture
def world(tmp_path: Path) -> Untrained:
    return Untrained(tmp_path)


def use_other(world: Untrained) -> str:
    """Set a base data set of CXR and Hand alone; the next snapshot's id."""
    settings = world.context.settings.model_copy(update={"base_dataset": OTHER})
    datasets = type("Datasets", (), {"get": lambda _self, _id=None: BaseDataset(OTHER)})()
    world.context = replace(world.context, settings=settings, datasets=datasets)
    return snapshot(world.context).snapshot_id


def test_the_same_base_data_set_is_no_news(world: Untrained) -> None:
    assert describe_new_base(world.context, snapshot(world.context).snapshot_id) == ""
    assert not settle_reference(world.context, version="1", by="ada")


def test_the_sample_and_the_full_set_are_one_base() -> None:
    """The package's model learned from the full set; a week on the sample goes on from it."""
    sample = bundled_sample().id
    assert not is_another_base(FULL_SET, sample)
    assert not is_another_base(sample, FULL_SET)
    assert not is_another_base("", sample)
    assert is_another_base(OTHER, sample)


def test_another_base_data_set_is_trained_on_without_news_and_says_what_it_lacks(
    world: Untrained,
) -> None:
    for seed, label in enumerate(("HeadCT", "HeadCT", "CXR", None)):
        world.correct(seed, label)
    snapshot_id = use_other(world)
    told = describe_new_base(world.context, snapshot_id)
    assert told == (
        f"base data set {OTHER} instead of {world.base_id}: trained from nothing; it lacks classes "
        "that corrections name: HeadCT (2)"
    )
    decided = plan(world.context, min_new=100)
    assert (decided.snapshot_id, decided.reason.startswith(told)) == (snapshot_id, True)


def test_the_first_champion_on_another_base_data_set_becomes_the_reference(
    world: Untrained,
) -> None:
    tags = {"base_id": OTHER, "labels": json.dumps(["CXR", "Hand"])}
    version = world.registry.add(model(), tags=tags)
    assert not settle_reference(world.context, version=version, by="ada")  # no champion
    world.registry.aliases[CHAMPION] = version
    assert settle_reference(world.context, version=version, by="ada")
    assert world.registry.version_of(REFERENCE) == version
    (move,) = all_moves(world.context)
    assert (move.alias, move.action, move.by) == (REFERENCE, "choose", "ada")
    assert move.reason == f"new base data set {OTHER} instead of {world.base_id}"
    assert not settle_reference(world.context, version=version, by="ada")  # once
