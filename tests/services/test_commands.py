"""The steps of the loop as commands, from an empty registry to a rollback: real S3 and MLflow,
trainings of seconds.

One loop for the whole file: the tests are its story, in order. What comes of long trainings is
tested beside this one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks.corrections.cases import MOMENTS, Moment, force_week, interrupted_week
from tests.events import correction
from tests.servers import MLflowServer, SeaweedFS
from typer.testing import CliRunner

from medloop.cli import build_app
from medloop.core.imaging.decode import content_sha256, encode_png
from medloop.core.learn.recipe import TrainingConfig
from medloop.jobs.context import Context
from medloop.jobs.evaluate import evaluate
from medloop.jobs.promote import promote
from medloop.jobs.snapshot import snapshot
from medloop.jobs.train import train
from medloop.settings import load_settings
from medloop.stores.dataset_import import ImportOptions
from medloop.stores.datasets import DatasetStore, bundled_sample
from medloop.stores.registry import CHALLENGER, CHAMPION, REFERENCE
from medloop.wiring import connect

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]

BUCKET = "medloop-commands"
EVERY = 10  # of the bundled sample's images make the base data set here
LEARNS_SOME = replace(TrainingConfig.smoke(), steps=60)
FORGETS = replace(TrainingConfig.smoke(seed=3), learning_rate=0.5, steps=10)

Run = Callable[..., str]


@pytest.fixture(scope="module")
def context(
    seaweedfs: SeaweedFS, mlflow_server: MLflowServer, tmp_path_factory: pytest.TempPathFactory
) -> Context:
    """A bucket and a registered model of this file's own, both empty."""
    seaweedfs.client().create_bucket(Bucket=BUCKET)
    home = tmp_path_factory.mktemp("home")
    return connect(
        load_settings(
            s3_endpoint_url=seaweedfs.endpoint,
            aws_access_key_id=seaweedfs.access_key,
            aws_secret_access_key=seaweedfs.secret_key,
            s3_bucket=BUCKET,
            mlflow_tracking_uri=mlflow_server.uri,
            mlflow_tracking_username=mlflow_server.username,
            mlflow_tracking_password=mlflow_server.password,
            model_name="commands",
            experiment="commands",
            base_dataset=small_data_set(home, tmp_path_factory.mktemp("small")),
            home=home,
            identity="plain",
            user="ada",
            device="cpu",
        )
    )


def small_data_set(home: Path, folder: Path) -> str:
    """Import a part of the sample, with its groups; the id."""
    sample, rows = bundled_sample(), ["file,group"]
    for i in range(0, len(sample.images), EVERY):
        name = f"{sample.labels[sample.targets[i]]}/{i:05}.png"
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(encode_png(sample.images[i]))
        rows.append(f"{name},{sample.groups[i]}")
    groups = folder / "groups.csv"
    groups.write_text("\n".join(rows))
    return DatasetStore(home).import_path(folder, options=ImportOptions(groups=groups)).dataset.id


@pytest.fixture
def run(context: Context, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `medloop …` against the loop, with trainings of seconds; gives what it printed."""
    monkeypatch.setattr("medloop.wiring.connect", lambda: context)
    monkeypatch.setattr(TrainingConfig, "sample", lambda seed: replace(LEARNS_SOME, seed=seed))
    monkeypatch.setattr(TrainingConfig, "weekly", TrainingConfig.smoke)

    def invoke(*arguments: str, exit_code: int = 0) -> str:
        result = CliRunner().invoke(build_app(), arguments, env={"COLUMNS": "200"})
        assert result.exit_code == exit_code, (result.output, result.exception)
        return result.stdout

    return invoke


def correct(context: Context, *places: int) -> None:
    """Somebody labels pictures of a scanner that turns them."""
    sample = bundled_sample()
    for place in places:
        pixels = np.ascontiguousarray(np.rot90(255 - sample.images[place] // 2))
        event = correction(
            content_sha256(pixels), sample.labels[sample.targets[place]], at=context.now()
        )
        context.corrections.put(event, encode_png(pixels), day=event.at[:10])


def test_bootstrap_trains_the_first_champion_and_does_it_once(context: Context, run: Run) -> None:
    assert "no versions yet" in run("models")
    assert run("bootstrap") == "Version 1 is the champion and the reference.\n"
    assert run("bootstrap") == "There is a champion already.\n"
    (listed,) = json.loads(run("models", "--json"))
    assert {CHAMPION, REFERENCE} <= set(listed["aliases"])
    assert "champion" in run("models")


def test_a_snapshot_and_a_training_done_twice_are_the_same(context: Context, run: Run) -> None:
    correct(context, *range(3, 6000, 300))
    snapshot_id = run("snapshot")
    assert run("snapshot") == snapshot_id
    assert run("train", snapshot_id.strip()) == "2\n"
    again = json.loads(run("train", "--json"))
    assert (again["version"], again["reused"]) == ("2", True)
    assert context.registry.version_of(CHAMPION) == "1"


def test_an_acceptance_set_is_declared_listed_and_withdrawn(
    context: Context, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "Hand").mkdir()
    (tmp_path / "Hand" / "1.png").write_bytes(encode_png(bundled_sample().images[4001]))
    assert run("acceptance", "add", "site-a", str(tmp_path), "--floor", "0.9") == (
        "Acceptance set site-a: 1 images, floor 90.0 %.\n"
    )
    assert [item["name"] for item in json.loads(run("acceptance", "list", "--json"))] == ["site-a"]
    run("acceptance", "withdraw", "site-a")
    assert json.loads(run("acceptance", "list", "--json")) == []


def test_a_no_is_kept_as_challenger_with_its_reasons_and_a_person_may_overrule_it(
    context: Context, run: Run
) -> None:
    latest = context.snapshots.latest()
    assert latest is not None
    version = train(context, snapshot_id=latest.snapshot_id, config=FORGETS).version
    judged = json.loads(run("evaluate", version, "--json"))
    assert judged["decision"]["passed"] is False
    assert "The gate says no" in run("evaluate", version)
    assert json.loads(run("evaluate", version, "--json")) == judged  # once judged, not judged again
    found = context.registry.get(version)
    assert CHALLENGER in found.aliases
    assert found.tags.gate == "no"
    assert any("base test, against the champion" in why for why in found.tags.gate_reasons)

    assert "Version 1 stays the champion" in run("promote", version, exit_code=1)
    assert context.registry.version_of(CHAMPION) == "1"
    run("promote", version, "--force", "--reason", "to see what happens")
    assert context.registry.version_of(CHAMPION) == version
    assert f"before it version {version}" in run("rollback", "--reason", "it forgot everything")
    assert context.registry.version_of(CHAMPION) == "1"


def test_retrain_goes_all_the_way_and_a_second_time_there_is_nothing_to_do(
    context: Context, run: Run
) -> None:
    correct(context, 17, 2017, 4017)
    first = json.loads(run("retrain", "--json"))
    assert not first["reused"]
    assert context.registry.get(first["version"]).tags.gate in {"yes", "no"}
    assert context.registry.version_of(CHAMPION) == (first["version"] if first["promoted"] else "1")
    assert run("retrain").startswith("No training: nothing new")
    forced = run("retrain", "--force")
    assert forced.startswith(
        f"No training: version {first['version']} had learned exactly this before."
    )
    assert ("is the champion" in forced) == first["promoted"]


def test_reproduce_gives_the_same_weights(run: Run) -> None:
    assert run("reproduce", "1").startswith("Version 1 is reproduced")


def test_watch_finds_no_alarm(run: Run) -> None:
    assert json.loads(run("watch", "--json"))["alarm"] is False


@pytest.mark.parametrize(
    "moment",
    [pytest.param(MOMENTS[0], marks=pytest.mark.slow, id="register"), MOMENTS[2]],
)
def test_a_week_that_mlflow_is_killed_in_can_be_done_again(
    context: Context, mlflow_server: MLflowServer, moment: Moment
) -> None:
    """Between the registration and the alias: the version is there, or the move in the ledger."""
    place = 1 + MOMENTS.index(moment)
    correct(context, place)
    found = interrupted_week(context, moment, mlflow_server, TrainingConfig.smoke(place))
    assert found == {"champion_is_the_ledgers": True, "versions_too_many": 0, "moves_too_many": 0}


def test_an_old_run_done_again_finds_its_version_and_moves_nothing(context: Context) -> None:
    """As Airflow does it when somebody clears the tasks of a run of weeks ago."""
    snapshots, weeks = [], []
    for place in (11, 12):
        correct(context, place)
        snapshots.append(snapshot(context).snapshot_id)
        weeks.append(force_week(context, snapshots[-1], TrainingConfig.smoke(place)))
    before = [item.version for item in context.registry.versions()]
    old = train(context, snapshot_id=snapshots[0], config=TrainingConfig.smoke(11)).version
    evaluate(context, version=old)
    outcome = promote(context, version=old, by="airflow")
    assert (old, outcome.promoted) == (weeks[0], False)
    assert f"version {old} was champion before version {weeks[1]}" in outcome.reasons[0]
    assert context.registry.version_of(CHAMPION) == weeks[1]
    assert [item.version for item in context.registry.versions()] == before
