"""`medloop train`, as a person runs it; with real trainings it is tested in tests/services."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.app.registry import MemoryRegistry
from tests.corrections_world import BaseDataset, World
from typer.testing import CliRunner

from medloop.cli import build_app
from medloop.jobs.snapshot import snapshot
from medloop.jobs.train import TrainResult
from medloop.stores.objects import ObjectStore


def test_a_round_without_news_tells_of_corrections_that_wait_for_a_reviewer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(
        ObjectStore.in_memory(), tmp_path, registry=MemoryRegistry(), review="all", user="rev"
    )
    world.correct(1)
    monkeypatch.setattr("medloop.wiring.connect", lambda: world.context)
    result = CliRunner().invoke(build_app(), ["retrain"])
    assert result.exit_code == 0, result.exception
    assert result.stdout.startswith("No training: nothing new")
    assert "1 wait for a reviewer, the first one: " in result.stderr


def test_train_takes_the_base_data_set_of_the_settings_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, asked = World(ObjectStore.in_memory(), tmp_path), {}
    world.correct(1)
    snapshot(world.context)
    settings = world.context.settings.model_copy(update={"base_dataset": "b" * 16})
    context = replace(world.context, settings=settings)

    def train(_: object, **arguments: Any) -> TrainResult:
        asked.update(arguments)
        return TrainResult("2", "run", False, 1.0, "")

    monkeypatch.setattr("medloop.wiring.connect", lambda: context)
    monkeypatch.setattr("medloop.jobs.train.train", train)
    result = CliRunner().invoke(build_app(), ["train", "--json"])
    assert result.exit_code == 0, result.exception
    assert asked["base_id"] == "b" * 16
    assert json.loads(result.stdout)["base_id"] == "b" * 16
    told = f"data set {'b' * 16}, as set, not on {BaseDataset.id} as the snapshot was"
    assert told in result.stderr
