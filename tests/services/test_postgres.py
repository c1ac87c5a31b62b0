"""MLflow and Airflow on a real PostgreSQL, set up by the commands of docs/airflow.md as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from tests.airflow_server import AirflowServer, Background
from tests.models import model
from tests.postgres import Postgres, new_password
from tests.servers import MLflowServer, SeaweedFS, clean_environment, wait_until

from medloop.errors import NotFoundError, StoreUnavailableError
from medloop.jobs.alias_moves import moves
from medloop.jobs.context import Context
from medloop.settings import load_settings
from medloop.stack import programs
from medloop.stores.airflow import Airflow
from medloop.stores.registry import CHAMPION
from medloop.stores.training_run import TrainingRun
from medloop.stores.version_tags import VersionTags
from medloop.wiring import connect

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]

PAGE = (Path(__file__).parents[2] / "docs/airflow.md").read_text()
BIN = Path(sys.executable).parent
COUNTS = range(6)
COUNTING_DAG = f"""
from pathlib import Path
from airflow.sdk import dag, task  # an airflow dag

@task
def count(number, folder):
    with Path(folder, str(number)).open("a") as file:
        file.write("ran\\n")

@dag(schedule="@once", is_paused_upon_creation=False)
def counting():
    count.partial(folder="FOLDER").expand(number=list(range({len(COUNTS)})))

counting()
"""


def block(start: str, *examples_and_values: str) -> str:
    """The fenced block of docs/airflow.md that begins so, with its examples replaced in turn."""
    (found,) = re.findall(rf"^```\w*\n({re.escape(start)}.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for example, value in zip(examples_and_values[::2], examples_and_values[1::2], strict=True):
        assert example in found, f"{example} is not in the block"
        found = found.replace(example, value)
    return found


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def databases(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Addresses of the two databases that the page creates."""
    password, cwd = new_password(), tmp_path_factory.mktemp("cwd")
    postgres.run(block('psql -c "CREATE ROLE', "secret", password), cwd=cwd)
    own = {"user": "medloop", "password": password}
    return {name: postgres.url(name, **own) for name in ("mlflow", "airflow")}


class Site:
    """An MLflow and an Airflow with two schedulers on one PostgreSQL, and the bucket of both."""

    bucket = "medloop-postgres"

    def __init__(self, folder: Path, store: SeaweedFS, databases: dict[str, str]) -> None:
        for name in ("mlflow", "airflow", "counted", "home", "worker", "dags"):
            (folder / name).mkdir()
        store.client().create_bucket(Bucket=self.bucket)
        self.folder, self.store = folder, store
        self.mlflow = MLflowServer(folder / "mlflow", store, database=databases["mlflow"])
        dags = {"AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags")}
        self._database = databases["airflow"]
        self.airflow = AirflowServer(folder / "airflow", dags, database=databases["airflow"])
        self._second = Background(
            programs.airflow(port=0, environment=self.airflow.environment, task_environment={})[1],
            folder,
        )

    def start(self) -> None:
        """MLflow and Airflow's database beside each other; the connections want MLflow's address alone."""
        with ThreadPoolExecutor() as pool:
            waiting = [pool.submit(self.mlflow.start), pool.submit(self._set_up_airflow)]
            for task in waiting:
                task.result()
        self.airflow.serve()
        self._second.start()

    def _set_up_airflow(self) -> None:
        """The database, the DAG files, the connections and the Variable, as the page has them."""
        self._shell(
            block(
                "export AIRFLOW__DATABASE",
                "postgresql+psycopg://medloop:secret@db.example:5432/airflow",
                self._database,
            )
        )
        dags, store, mlflow = self.folder / "dags", self.store, self.mlflow
        (dags / "medloop.py").write_text(block("# an airflow dag\n"))
        counting = COUNTING_DAG.replace("FOLDER", str(self.folder / "counted"))
        (dags / "counting.py").write_text(counting)
        keys = {"ACCESS_KEY": store.access_key, "SECRET_KEY": store.secret_key}
        connections = block(
            "airflow connections add mlflow_default",
            *("https://dagshub.com/me/project.mlflow", mlflow.uri),
            *("--conn-login me", f"--conn-login {mlflow.username}"),
            *('"region_name": "eu-central-1"', f'"endpoint_url": "{store.endpoint}"'),
            *('"bucket_name": "medloop"', f'"bucket_name": "{self.bucket}"'),
        )
        variable = block(
            "airflow variables set medloop",
            '"notify_email": "pacs-team@example.org"',
            f'"home": "{self.folder}/worker"',
        )
        with ThreadPoolExecutor() as pool:
            done = pool.map(
                lambda script: self._shell(script, **keys, TOKEN=mlflow.password),
                (connections, variable),
            )
            list(done)

    def _shell(self, script: str, **environment: str) -> None:
        whole = {**clean_environment(), **self.airflow.environment, **environment}
        whole["PATH"] = f"{BIN}:{whole['PATH']}"
        done = subprocess.run(
            ["bash", "-euc", script], env=whole, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def environment(self) -> dict[str, str]:
        own = {"MEDLOOP_S3_BUCKET": self.bucket, "MEDLOOP_HOME": str(self.folder / "home")}
        return {**self.store.environment, **self.mlflow.environment, **own}

    def stop(self) -> None:
        self._second.stop()
        self.airflow.stop()
        self.mlflow.stop()


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, seaweedfs: SeaweedFS, databases: dict[str, str]
) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"), seaweedfs, databases)
    site.start()
    yield site
    site.stop()


def asked(check):
    """Whether it is so by now; what is not parsed yet, or has no processor, is asked again."""

    def is_so() -> bool:
        try:
            return bool(check())
        except (NotFoundError, StoreUnavailableError):
            return False

    return is_so


def test_the_pages_dag_runs_in_an_airflow_on_postgresql(site: Site):
    client: Airflow = site.airflow.client()
    wait_until(asked(client.dag), what="the DAG should be parsed", timeout_s=120)
    client.set_paused(False)
    run_id = client.trigger()
    wait_until(asked(lambda: client.run(run_id).finished), what="the run should end", timeout_s=180)
    assert client.run(run_id).state == "success"
    assert "nothing new" in client.result(run_id, "snapshot", key="reason")


def test_two_schedulers_run_each_task_once(site: Site, databases: dict[str, str]):
    counted = site.folder / "counted"
    wait_until(
        lambda: len(list(counted.iterdir())) == len(COUNTS),
        what="all tasks should run",
        timeout_s=180,
    )
    assert {file.name: file.read_text() for file in counted.iterdir()} == {
        str(number): "ran\n" for number in COUNTS
    }
    with psycopg.connect(databases["airflow"].replace("+psycopg", "")) as database:
        schedulers = database.execute(
            "SELECT count(*) FROM job WHERE job_type = 'SchedulerJob' AND state = 'running'"
        ).fetchone()
    assert schedulers == (2,)


PROMOTE = """
import sys
from medloop.errors import StaleError
from medloop.jobs.promote import promote
from medloop.wiring import connect
context = connect()
context.registry.versions()
print("ready", flush=True)
sys.stdin.readline()
try:
    promote(context, version="2", by=sys.argv[1], reason="a race", force=True)
except StaleError as error:
    print(error)
"""


@pytest.fixture
def context(site: Site) -> Context:
    """Two versions, of which the first is champion."""
    context = connect(
        load_settings(
            home=site.folder / "home",
            s3_endpoint_url=site.store.endpoint,
            s3_bucket=site.bucket,
            aws_access_key_id=site.store.access_key,
            aws_secret_access_key=site.store.secret_key,
            mlflow_tracking_uri=site.mlflow.uri,
            mlflow_tracking_username=site.mlflow.username,
            mlflow_tracking_password=site.mlflow.password,
        )
    )
    for seed in (1, 2):
        tags = VersionTags(run_key=str(seed), snapshot_id="s1")
        context.registry.register(
            TrainingRun(
                name=f"run {seed}",
                onnx=model(seed),
                params={},
                metrics={},
                tags=tags,
                inputs=[],
                files={},
                history=[],
            )
        )
    context.registry.move_alias(CHAMPION, "1", expected=None)
    return context


def test_of_two_promotions_at_once_one_moves_the_alias(site: Site, context: Context):
    whole = {**clean_environment(), **site.environment()}
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", PROMOTE, who],
            env=whole,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for who in ("ada", "bob")
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    said = [racer.communicate(timeout=60)[0] for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0], said
    (move,) = moves(context)
    assert (move.from_version, move.to_version, move.by in {"ada", "bob"}) == ("1", "2", True)
    assert context.registry.version_of(CHAMPION) == "2"
