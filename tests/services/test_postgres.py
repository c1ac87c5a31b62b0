"""MLflow and Airflow on a real PostgreSQL: set up, saved, restored and given new keys.

By the commands of docs/airflow.md and docs/runbook.md as they stand there, but `aws s3 sync`, which
is boto3 here.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import copy as shallow
from pathlib import Path

import psycopg
import pytest
from tests.airflow_server import AirflowServer, Background
from tests.events import image, png
from tests.models import model
from tests.postgres import Postgres, new_password
from tests.servers import MLflowServer, SeaweedFS, clean_environment, wait_until

from medloop.core.imaging.decode import decode
from medloop.errors import NotFoundError, StoreError, StoreUnavailableError
from medloop.jobs.alias_moves import moves
from medloop.jobs.context import Context
from medloop.jobs.correct import correct
from medloop.settings import load_settings
from medloop.stack import programs
from medloop.stores.airflow import Airflow
from medloop.stores.registry import CHAMPION
from medloop.stores.training_run import TrainingRun
from medloop.stores.version_tags import VersionTags
from medloop.wiring import connect

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]

DOCS = Path(__file__).parents[2] / "docs"
PAGES = "".join((DOCS / name).read_text() for name in ("airflow.md", "runbook.md"))
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
    """The fenced block of the two pages that begins so, with its examples replaced in turn."""
    (found,) = re.findall(
        rf"^```\w*\n({re.escape(start)}.*?)^```$", PAGES, re.MULTILINE | re.DOTALL
    )
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
        self.databases = databases
        self.airflow = AirflowServer(folder / "airflow", dags, database=databases["airflow"])
        self._second = Background(
            programs.airflow(port=0, environment=self.airflow.environment, task_environment={})[1],
            folder,
        )

    def start(self) -> None:
        """MLflow and Airflow's database beside each other; the connections want MLflow's address
        alone.
        """
        with ThreadPoolExecutor() as pool:
            waiting = [pool.submit(self.mlflow.start), pool.submit(self._set_up_airflow)]
            for task in waiting:
                task.result()
        self.airflow.serve()
        self._second.start()

    def _set_up_airflow(self) -> None:
        """The database, the DAG files, the connections and the Variable, as the page has them."""
        self.shell(
            block(
                "export AIRFLOW__DATABASE",
                "postgresql+psycopg://medloop:secret@db.example:5432/airflow",
                self.databases["airflow"],
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
                lambda script: self.shell(script, **keys, TOKEN=mlflow.password),
                (connections, variable),
            )
            list(done)

    def shell(self, script: str, **environment: str) -> None:
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


def connect_to(mlflow: MLflowServer, store: SeaweedFS, *, home: Path, bucket: str) -> Context:
    return connect(
        load_settings(
            home=home,
            s3_endpoint_url=store.endpoint,
            s3_bucket=bucket,
            identity="plain",
            aws_access_key_id=store.access_key,
            aws_secret_access_key=store.secret_key,
            mlflow_tracking_uri=mlflow.uri,
            mlflow_tracking_username=mlflow.username,
            mlflow_tracking_password=mlflow.password,
        )
    )


@pytest.fixture(scope="module")
def context(site: Site) -> Context:
    """Two versions, of which the first is champion."""
    context = connect_to(site.mlflow, site.store, home=site.folder / "home", bucket=site.bucket)
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


def say(context: Context, seed: int, label: str) -> str:
    """A correction on this machine; its event."""
    picture = decode(png(image(seed)))
    return correct(
        context, image=picture, given_label=label, prediction=None, model_version="1", who="ada"
    ).event_id


def copy(store: SeaweedFS, from_bucket: str, to_bucket: str) -> None:
    """`aws s3 sync` into an empty bucket, by another client than medloop's."""
    client = store.client()
    client.create_bucket(Bucket=to_bucket)
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=from_bucket):
        for found in page.get("Contents", []):
            body = client.get_object(Bucket=from_bucket, Key=found["Key"])["Body"].read()
            client.put_object(Bucket=to_bucket, Key=found["Key"], Body=body)


@contextmanager
def empty_cluster() -> Iterator[tuple[Postgres, dict[str, str]]]:
    """Another PostgreSQL with two empty databases, and their addresses."""
    cluster, password = Postgres(), new_password()
    cluster.start()
    try:
        cluster.run(block('psql -c "CREATE ROLE', "secret", password), cwd=cluster.folder.parent)
        own = {"user": "medloop", "password": password}
        yield cluster, {name: cluster.url(name, **own) for name in ("mlflow", "airflow")}
    finally:
        cluster.stop()


@contextmanager
def restored_mlflow(folder: Path, site: Site, database: str) -> Iterator[MLflowServer]:
    """An MLflow on restored data, with the passwords that it held."""
    store = shallow(site.store)
    store.mlflow_bucket = f"{store.mlflow_bucket}-restored"
    server = MLflowServer(folder, store, database=database)
    server.password = site.mlflow.password
    server.start()
    yield server
    server.stop()


def runs(addresses: dict[str, str]) -> int:
    """The number of runs that an Airflow remembers."""
    with psycopg.connect(addresses["airflow"].replace("+psycopg", "")) as database:
        (count,) = database.execute("SELECT count(*) FROM dag_run").fetchone()
    return count


def stored_events(context: Context) -> dict[str, bytes]:
    return {info.key: context.objects.get(info.key) for info in context.objects.list("corrections")}


def test_a_backup_restored_into_an_empty_place_has_everything(
    site: Site, context: Context, postgres: Postgres, tmp_path: Path
):
    say(context, 1, "Hand")
    assert context.sender.send_once().sent == 1
    waiting = say(context, 2, "CXR")
    saving, _, _ = block("pg_dump").partition("aws s3 sync")
    home = str(context.settings.home)
    postgres.run(saving, cwd=tmp_path, MEDLOOP_HOME=home)
    for name in (site.bucket, site.store.mlflow_bucket):
        copy(site.store, name, f"{name}-restored")
    _, _, restoring = block("aws s3 sync medloop/").partition("s3://mlflow\n")
    with empty_cluster() as (cluster, addresses):
        cluster.run(restoring, cwd=tmp_path)
        new_home = tmp_path / "home"
        new_home.mkdir()
        (tmp_path / "outbox.db").rename(new_home / "outbox.db")
        with restored_mlflow(tmp_path, site, addresses["mlflow"]) as mlflow:
            bucket = f"{site.bucket}-restored"
            found = connect_to(mlflow, site.store, home=new_home, bucket=bucket)
            assert found.registry.versions() == context.registry.versions()
            assert found.registry.version_of(CHAMPION) == "2"
            assert found.registry.model_file("2") == context.registry.model_file("2")
            assert found.ledger.entries() == context.ledger.entries() != []
            assert stored_events(found) == stored_events(context)
            assert found.sender.send_once().sent == 1
            assert any(waiting in key for key in stored_events(found))
        assert runs(addresses) == runs(site.databases) > 0


def test_a_password_of_mlflow_is_changed_by_the_runbooks_command(site: Site, context: Context):
    old, new = site.mlflow.password, new_password()
    where = {"MLFLOW_TRACKING_URI": site.mlflow.uri}
    site.shell(block("curl --fail"), OLD=old, NEW=new, **where)
    with pytest.raises(StoreError, match="401"):
        context.registry.versions()
    site.mlflow.password = new
    again = connect_to(site.mlflow, site.store, home=site.folder / "home", bucket=site.bucket)
    assert [version.version for version in again.registry.versions()] == ["1", "2"]
