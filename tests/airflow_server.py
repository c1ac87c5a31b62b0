"""A real Airflow for tests: API server, scheduler and DAG processor on a free port, SQLite in a
folder.
"""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from medloop.settings import Settings
from medloop.stack import programs
from medloop.stack.ports import free_ports
from medloop.stores.airflow import Airflow
from tests.servers import MLflowServer, SeaweedFS, Server, clean_environment

DAGS = Path(__file__).parents[1] / "src/medloop/dags"


def base_environment(home: Path, *, dags: Path = DAGS) -> dict[str, str]:
    """What any airflow command needs to live in `home`."""
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
    }


def connections(store: SeaweedFS, mlflow: MLflowServer, *, bucket: str) -> dict[str, str]:
    """The two connections as an existing Airflow would have them."""
    s3 = {**store.environment, "AWS_REGION": store.region, "MEDLOOP_S3_BUCKET": bucket}
    return {
        "AIRFLOW_CONN_AWS_DEFAULT": programs.aws_connection(s3),
        "AIRFLOW_CONN_MLFLOW_DEFAULT": programs.mlflow_connection(mlflow.environment),
    }


@cache
def _migrated() -> bytes:
    """Airflow's database as its migration leaves it."""
    with tempfile.TemporaryDirectory() as home:
        migration = programs.airflow_migration(base_environment(Path(home)))
        whole = {**clean_environment(), **migration.environment}
        subprocess.run(migration.command, env=whole, check=True, capture_output=True, timeout=180)
        return Path(home, "airflow.db").read_bytes()


def migrate(environment: Mapping[str, str]) -> None:
    """Create Airflow's database, by a migration that a process does once."""
    Path(environment["AIRFLOW_HOME"], "airflow.db").write_bytes(_migrated())


def dags_folder(folder: Path) -> Path:
    """A DAGs folder of somebody else's, with the lines that bring the DAGs into it."""
    dags = folder / "dags"
    dags.mkdir()
    lines = "# an airflow dag\nfrom medloop.dags.medloop_weekly_retrain import weekly_retrain\n"
    dags.joinpath("retrain.py").write_text(lines)
    dags.joinpath("watch.py").write_text(
        "# an airflow dag\nfrom medloop.dags.medloop_watch import hourly_watch\n"
    )
    return dags


class Background(Server):
    """A process that serves nothing: it is ready when it runs."""

    def _ready(self) -> bool:
        return self.process.poll() is None


class AirflowServer:
    """Three processes under the guard; `environment` is what their operator gave them."""

    username = "admin"

    def __init__(self, folder: Path, environment: Mapping[str, str], *, database: str = "") -> None:
        self.password = secrets.token_urlsafe(12)
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        passwords = folder / "passwords.json"
        passwords.write_text(json.dumps({self.username: self.password}))
        fernet_key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        keys = programs.AirflowSecrets(
            passwords, jwt_secret=secrets.token_hex(32), fernet_key=fernet_key
        )
        own = programs.airflow_environment(
            folder=folder,
            database=database or f"sqlite:///{folder}/airflow.db",
            port=port,
            roles={self.username: "admin"},
            secrets=keys,
        )
        self.environment = {**own, **environment}
        started = programs.airflow(port=port, environment=self.environment, task_environment={})
        self._servers = [
            (Server if program.health_url else Background)(program, folder) for program in started
        ]

    @property
    def scheduler(self) -> Server:
        """The scheduler, with the tasks below it."""
        return self._servers[1]

    def client(self) -> Airflow:
        """A session as the page has one."""
        return Airflow(
            Settings(
                airflow_url=self.url, airflow_username=self.username, airflow_password=self.password
            )
        )

    def start(self) -> None:
        migrate(self.environment)
        self.serve()

    def serve(self) -> None:
        """Start on a database that is there."""
        for server in self._servers:
            server.start()

    def stop(self) -> None:
        for server in reversed(self._servers):
            server.stop()
