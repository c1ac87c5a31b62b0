"""The DAG files as an existing Airflow parses them: without S3, MLflow or any setting of
medloop.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.airflow_server import DAGS, base_environment
from tests.servers import clean_environment

PARSE = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
before = set(sys.modules)
bag = DagBag(sys.argv[1])
imported = set(sys.modules) - before
bag_facts = {
    "errors": {name: str(error) for name, error in bag.import_errors.items()},
    "files": sorted(stat.file for stat in bag.dagbag_stats),
    "imported": sorted({name.split(".")[0] for name in imported}),
    "own": sorted(name for name in imported if name.split(".")[0] == "medloop"),
}
facts = lambda dag: {
    "downstream": {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks},
    "retries": [task.retries for task in dag.tasks],
    "owners": dag.owner,
    "tags": sorted(dag.tags),
    "catchup": dag.catchup,
    "max_active_runs": dag.max_active_runs,
    "schedule": dag.timetable.expression,
    "doc": dag.doc_md,
    "params": {name: dag.params.get_param(name).serialize() for name in dag.params},
    "tells_of_failure": [bool(task.on_failure_callback) for task in dag.tasks],
    "tells_of_success": [task.task_id for task in dag.tasks if task.on_success_callback],
}
print(json.dumps({**bag_facts, **{name: facts(dag) for name, dag in bag.dags.items()}}))
"""


def parse(folder: Path, home: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", PARSE, str(folder)],
        env={**clean_environment(), **base_environment(home, dags=folder)},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return parse(DAGS, tmp_path_factory.mktemp("airflow"))


@pytest.fixture
def weekly(parsed: dict[str, Any]) -> dict[str, Any]:
    return parsed["medloop_weekly_retrain"]


@pytest.fixture
def watch(parsed: dict[str, Any]) -> dict[str, Any]:
    return parsed["medloop_watch"]


def test_it_parses_and_so_does_nothing_beside_it(parsed):
    assert parsed["errors"] == {}
    assert [Path(file).name for file in parsed["files"]] == [
        "medloop_watch.py",
        "medloop_weekly_retrain.py",
    ]


def test_parsing_loads_next_to_nothing_of_medloop_and_no_heavy_library(parsed):
    """What makes it quick: the DAG processor does it every few seconds."""
    assert parsed["own"] == ["medloop", "medloop.dags", "medloop.dags.failures", "medloop.errors"]
    heavy = {
        "torch",
        "mlflow",
        "obstore",
        "onnxruntime",
        "boto3",
        "botocore",
        "pandas",
        "scipy",
        "PIL",
        "pyarrow",
    }
    assert not heavy & set(parsed["imported"])


def test_five_tasks_one_after_the_other_each_with_retries(weekly):
    chain = {
        "snapshot": ["train"],
        "train": ["evaluate"],
        "evaluate": ["set_aside"],
        "set_aside": ["promote"],
        "promote": [],
    }
    assert weekly["downstream"] == chain
    assert min(weekly["retries"]) > 0


def test_weekly_one_run_at_a_time_and_no_catching_up(weekly):
    assert weekly["schedule"].split()[2:4] == ["*", "*"]
    assert weekly["schedule"].split()[4].isdigit()
    assert (weekly["catchup"], weekly["max_active_runs"]) == (False, 1)


def test_people_find_documentation_owner_and_tags(weekly):
    assert "aws_default" in weekly["doc"]
    assert weekly["owners"] == "medloop"
    assert "medloop" in weekly["tags"]


def test_every_parameter_is_explained_in_the_form(weekly):
    assert weekly["params"].keys() == {"force", "min_new", "engine"}
    assert all(
        param["schema"]["title"] and param["description"] for param in weekly["params"].values()
    )


def test_people_are_told_of_any_failure_and_of_a_promotion(weekly):
    assert all(weekly["tells_of_failure"])
    assert weekly["tells_of_success"] == ["promote"]


def test_the_watch_is_one_task_each_hour_with_retries_and_no_catching_up(watch):
    assert watch["downstream"] == {"watch": []}
    assert min(watch["retries"]) > 0
    assert watch["schedule"].split()[1:] == ["*", "*", "*", "*"]
    assert (watch["catchup"], watch["max_active_runs"]) == (False, 1)
    assert "rolls back" in watch["doc"]
    assert watch["owners"] == "medloop"
    assert (watch["tells_of_failure"], watch["tells_of_success"]) == ([True], ["watch"])


def test_a_file_of_two_lines_brings_it_into_another_dags_folder(tmp_path: Path):
    folder = tmp_path / "dags"
    folder.mkdir()
    folder.joinpath("retrain.py").write_text(
        "# an airflow dag\nfrom medloop.dags.medloop_weekly_retrain import weekly_retrain\n"
    )
    assert parse(folder, tmp_path)["errors"] == {}
