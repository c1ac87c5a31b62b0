"""The watch end to end: predictions and corrections in a real S3, versions in a real MLflow, the
DAG in an Airflow.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr
from tests.airflow_server import base_environment, connections, dags_folder, migrate
from tests.events import correction, sha256_of
from tests.listening import Webhook
from tests.servers import MLflowServer, SeaweedFS, clean_environment

from medloop.core.learn.recipe import TrainingConfig
from medloop.jobs.bootstrap import bootstrap
from medloop.jobs.context import Context
from medloop.jobs.promote import promote
from medloop.jobs.promotion_watch import watch
from medloop.jobs.train import learn, recipe_for
from medloop.jobs.training_data import gather
from medloop.settings import Settings
from medloop.stores.predictions import PredictionLine
from medloop.stores.registry import CHAMPION
from medloop.wiring import connect

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(600)]

BUCKET = "medloop-watch"
OWN = {"model_name": "watched", "experiment": "watched", "identity": "plain"}


@dataclass(frozen=True)
class Site:
    """A loop with two versions, as a person and as Airflow see it."""

    context: Context
    environment: dict[str, str]


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, seaweedfs: SeaweedFS, mlflow_server: MLflowServer
) -> Site:
    seaweedfs.client().create_bucket(Bucket=BUCKET)
    settings = Settings(
        home=tmp_path_factory.mktemp("home"),
        s3_endpoint_url=seaweedfs.endpoint,
        s3_bucket=BUCKET,
        aws_access_key_id=SecretStr(seaweedfs.access_key),
        aws_secret_access_key=SecretStr(seaweedfs.secret_key),
        mlflow_tracking_uri=mlflow_server.uri,
        mlflow_tracking_username=mlflow_server.username,
        mlflow_tracking_password=SecretStr(mlflow_server.password),
        **OWN,
    )
    context = connect(settings)
    bootstrap(context, config=TrainingConfig.smoke())
    data = gather(context, snapshot_id="", base_id=None, champion_labels=())
    parent = context.registry.get("1")
    config = TrainingConfig.smoke(seed=1)
    learn(context, data, recipe_for(context, data, parent=parent, config=config))
    return Site(context, connections(seaweedfs, mlflow_server, bucket=BUCKET))


@pytest.fixture
def promoted(site: Site) -> Iterator[Context]:
    """Version 2 has just been promoted."""
    promote(site.context, version="2", by="ada", reason="it looked better", force=True)
    yield site.context
    assert site.context.registry.version_of(CHAMPION) == "1"


def log_predictions(context: Context, version: str, *, unknown: int, n: int, first: int) -> None:
    """What the page writes of n pictures."""
    context.predictions.add(
        PredictionLine(
            at=context.now().isoformat(timespec="seconds"),
            image_sha256=sha256_of(first + number),
            label="Hand",
            confidence=0.9,
            verdict="unknown" if number < unknown else "confident",
            ood_score=0.0,
            model_version=version,
            source="page",
        )
        for number in range(n)
    )
    context.predictions.flush()


def test_a_version_that_knows_less_is_rolled_back_by_what_the_page_logged(
    promoted: Context,
) -> None:
    log_predictions(promoted, "1", unknown=10, n=200, first=0)
    log_predictions(promoted, "2", unknown=5, n=100, first=1000)
    assert not watch(promoted).alarm
    log_predictions(promoted, "2", unknown=95, n=100, first=2000)
    found = watch(promoted)
    assert (found.alarm, found.rolled_back, found.champion, found.previous) == (
        True,
        True,
        "2",
        "1",
    )
    assert (
        "called unknown: 100 of 200 images (50.0 %), before the promotion 10 of 200 (5.0 %)"
        in found.reasons[1]
    )
    assert "watch" in promoted.ledger.entries()[-1].by


WATCH = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
run = DagBag(sys.argv[1]).dags["medloop_watch"].test()
rolled_back = run.get_task_instance("watch").xcom_pull(task_ids="watch")
print(json.dumps({"state": run.state, "rolled_back": rolled_back}))
"""


def test_the_hourly_dag_rolls_back_and_tells_people(
    tmp_path: Path, site: Site, promoted: Context
) -> None:
    for number in range(40):
        wrong = correction(
            sha256_of(5000 + number),
            "Hand",
            model_version="2" if number < 20 else "1",
            at=promoted.now(),
            predicted_label="CXR" if number < 20 else "Hand",
        )
        promoted.corrections.put(wrong, None, day=wrong.at[:10])
    dags = dags_folder(tmp_path)
    with Webhook() as hook:
        variable = {**OWN, "home": str(tmp_path / "worker"), "notify_webhook": hook.url}
        environment = {
            **clean_environment(), **base_environment(tmp_path, dags=dags), **site.environment,
            "AIRFLOW_VAR_MEDLOOP": json.dumps(variable),
        }  # fmt: skip
        migrate(environment)
        done = subprocess.run(
            [sys.executable, "-c", WATCH, str(dags)],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=180,
        )
    assert json.loads(done.stdout.splitlines()[-1]) == {"state": "success", "rolled_back": True}
    assert promoted.registry.version_of(CHAMPION) == "1"
    (notice,) = hook.received
    assert (notice["event"], notice["version"], notice["replaced"]) == ("rolled back", "1", "2")
    assert "corrected: 20 of 20 images" in notice["text"]
