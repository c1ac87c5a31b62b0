"""The DAG in an Airflow that has its own DAGs folder, its connections and its Variable, against
real S3 and MLflow.

One Airflow, one registry for the whole file: the tests are the loop's story, in order.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pydantic import SecretStr
from tests.airflow_server import AirflowServer, base_environment, connections, dags_folder, migrate
from tests.listening import Webhook
from tests.servers import MLflowServer, SeaweedFS, clean_environment, wait_until

from medloop.core.imaging.decode import decode, encode_png
from medloop.errors import NotFoundError, StoreError, StoreUnavailableError
from medloop.jobs.alias_moves import moves
from medloop.jobs.context import Context
from medloop.jobs.correct import correct
from medloop.jobs.train import learn, recipe_for
from medloop.jobs.training_data import gather
from medloop.settings import Settings
from medloop.stores.airflow import Airflow, DagRun
from medloop.stores.registry import CHAMPION, REFERENCE
from medloop.wiring import connect

pytestmark = [pytest.mark.services, pytest.mark.timeout(1800)]

BUCKET = "medloop-dag"
SKIPPED = {
    "snapshot": "success",
    **dict.fromkeys(("train", "evaluate", "set_aside", "promote"), "skipped"),
}
DONE = dict.fromkeys(SKIPPED, "success")


@dataclass(frozen=True)
class Site:
    """Where the loop lives, as its Airflow and its page see it."""

    context: Context
    environment: dict[str, str]  # of Airflow
    hook: Webhook


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, seaweedfs: SeaweedFS, mlflow_server: MLflowServer
) -> Iterator[Site]:
    """A bucket and a registered model of this file's own, with a first champion that has hardly
    learned.
    """
    seaweedfs.client().create_bucket(Bucket=BUCKET)
    own = {"model_name": "dag", "experiment": "dag", "identity": "plain"}
    settings = Settings(
        home=tmp_path_factory.mktemp("home"),
        s3_endpoint_url=seaweedfs.endpoint,
        s3_bucket=BUCKET,
        aws_access_key_id=SecretStr(seaweedfs.access_key),
        aws_secret_access_key=SecretStr(seaweedfs.secret_key),
        mlflow_tracking_uri=mlflow_server.uri,
        mlflow_tracking_username=mlflow_server.username,
        mlflow_tracking_password=SecretStr(mlflow_server.password),
        **own,
    )
    context = connect(settings)
    install_beginner(context)
    with Webhook() as hook:
        variable = {
            **own,
            "home": str(tmp_path_factory.mktemp("worker")),
            "notify_webhook": hook.url,
        }
        environment = connections(seaweedfs, mlflow_server, bucket=BUCKET)
        yield Site(context, {**environment, "AIRFLOW_VAR_MEDLOOP": json.dumps(variable)}, hook)


def install_beginner(context: Context) -> None:
    """A champion after two seconds of training, so that whatever is trained properly is better."""
    from medloop.core.learn.recipe import TrainingConfig

    base = gather(context, snapshot_id="", base_id=None, champion_labels=())
    recipe = recipe_for(context, base, config=TrainingConfig.smoke())
    first = learn(context, base, recipe)
    for alias in (CHAMPION, REFERENCE):
        context.registry.move_alias(alias, first.version, expected=None)


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory, site: Site) -> Iterator[Airflow]:
    folder = tmp_path_factory.mktemp("airflow")
    dags = {"AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder(folder))}
    server = AirflowServer(folder, {**site.environment, **dags})
    server.start()
    client = server.client()
    wait_until(lambda: _is_parsed(client), what="the DAG should be parsed")
    yield client
    server.stop()


def _is_parsed(client: Airflow) -> bool:
    try:
        return client.dag() is not None
    except NotFoundError:
        return False


def finished(client: Airflow, run_id: str) -> DagRun:
    """The run when it has ended; an API server that a training leaves no processor is asked
    again.
    """

    def over() -> bool:
        with contextlib.suppress(StoreUnavailableError):
            return client.run(run_id).finished
        return False

    wait_until(over, what=f"{run_id} should end", timeout_s=900, every_s=0.5)
    return client.run(run_id)


def test_a_paused_dag_is_said_instead_of_waiting_for_ever(airflow: Airflow):
    assert airflow.dag().paused
    with pytest.raises(StoreError, match="paused"):
        airflow.trigger()
    airflow.set_paused(False)
    assert not airflow.dag().paused


def test_a_wrong_password_is_refused_with_the_settings_to_check(airflow: Airflow):
    wrong = Airflow(
        Settings(
            airflow_url=airflow.url,
            airflow_username="admin",
            airflow_password=SecretStr("wrong-password"),
        )
    )
    with pytest.raises(StoreError, match=r"refuses admin.*MEDLOOP_AIRFLOW_PASSWORD") as caught:
        wrong.dag()
    assert "wrong-password" not in str(caught.value)


@pytest.fixture(scope="module")
def first_run(airflow: Airflow) -> DagRun:
    """The run that finds nothing, after the one that Airflow makes of the last weekly tick once the
    DAG is open.
    """
    airflow.set_paused(False)
    return finished(airflow, airflow.trigger(note="a test's"))


def test_nothing_new_ends_the_run_and_says_why(site: Site, airflow: Airflow, first_run: DagRun):
    assert first_run == DagRun(first_run.run_id, "success", SKIPPED)
    assert "nothing new" in airflow.result(first_run.run_id, "snapshot", key="reason")
    assert site.context.registry.version_of(CHAMPION) == "1"


@pytest.fixture(scope="module")
def retrained(site: Site, airflow: Airflow, first_run: DagRun) -> DagRun:
    """The run that finds forty corrections."""
    sample = site.context.datasets.get(None)
    for place in np.linspace(0, len(sample.images) - 1, 40).astype(int):
        picture = decode(encode_png(np.flipud(sample.images[place])))
        label = sample.labels[sample.targets[place]]
        correct(
            site.context,
            image=picture,
            given_label=label,
            prediction=None,
            model_version="1",
            who="radiologist",
        )
    assert site.context.sender.send_once().sent == 40
    return finished(airflow, airflow.trigger({"min_new": 40}))


@pytest.mark.slow
def test_good_corrections_move_the_champion(site: Site, airflow: Airflow, retrained: DagRun):
    assert (retrained.state, retrained.tasks) == ("success", DONE)
    assert (
        airflow.result(retrained.run_id, "train")
        == airflow.result(retrained.run_id, "promote")
        == "2"
    )
    assert site.context.registry.version_of(CHAMPION) == "2"
    (move,) = moves(site.context)
    assert (move.from_version, move.to_version) == ("1", "2")
    assert retrained.run_id in move.by
    assert move.snapshot_id == airflow.result(retrained.run_id, "snapshot")


@pytest.mark.slow
def test_people_hear_of_the_promotion(site: Site, retrained: DagRun):
    wait_until(
        lambda: site.hook.received, what="a notice should come", timeout_s=30
    )  # callbacks follow the end
    (notice,) = [notice for notice in site.hook.received if notice["event"] == "promoted"]
    assert notice["text"] == "medloop: version 2 of dag is the champion now, in place of version 1"
    assert notice["run_id"] == retrained.run_id


@pytest.mark.slow
def test_too_few_new_corrections_end_the_next_run(airflow: Airflow, retrained: DagRun):
    run_id = airflow.trigger({"min_new": 5})
    assert finished(airflow, run_id).tasks == SKIPPED


@pytest.mark.slow
def test_an_old_run_done_again_finds_its_own_work_and_changes_nothing(
    site: Site, airflow: Airflow, retrained: DagRun
):
    ledger, heard = site.context.ledger.entries(), len(site.hook.received)
    airflow.clear(retrained.run_id, ["train", "evaluate", "set_aside", "promote"])
    assert finished(airflow, retrained.run_id).tasks == DONE
    assert [version.version for version in site.context.registry.versions()] == ["1", "2"]
    assert site.context.ledger.entries() == ledger
    assert len(site.hook.received) == heard


TEST_RUN = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
run = DagBag(sys.argv[1]).dags["medloop_weekly_retrain"].test()
tasks = {ti.task_id: ti.state for ti in run.get_task_instances()}
print(json.dumps({"state": run.state, "tasks": tasks}))
"""


def dag_test(folder: Path, environment: dict[str, str]) -> dict[str, object]:
    """One `dag.test()`, in a process of its own as Airflow wants it."""
    dags = dags_folder(folder)
    whole = {**base_environment(folder, dags=dags), **environment}
    migrate(whole)
    done = subprocess.run(
        [sys.executable, "-c", TEST_RUN, str(dags)],
        env={**clean_environment(), **whole},
        check=True,
        capture_output=True,
        text=True,
        timeout=180,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_a_wrong_key_fails_at_once_and_people_hear_the_reason(tmp_path: Path, site: Site):
    connection = json.loads(site.environment["AIRFLOW_CONN_AWS_DEFAULT"])
    wrong = {"AIRFLOW_CONN_AWS_DEFAULT": json.dumps({**connection, "password": "wrong-secret-key"})}
    before = len(site.hook.received)

    run = dag_test(tmp_path, {**site.environment, **wrong})

    assert run["state"] == "failed"
    assert run["tasks"]["snapshot"] == "failed"
    (notice,) = site.hook.received[before:]
    assert (notice["event"], notice["task_id"]) == ("failed", "snapshot")
    assert "wrong-secret-key" not in json.dumps(notice)
