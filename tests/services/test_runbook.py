"""New keys and an upgrade by the runbook's own lines: a real SeaweedFS, and MLflow's own
migrations.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import alembic.command
import boto3
import pytest
import sqlalchemy
from alembic.script import ScriptDirectory
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from mlflow.exceptions import MlflowException
from mlflow.store.db import utils
from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase
from tests.servers import Server, clean_environment

from medloop.settings import load_named_settings
from medloop.stack import ports, programs
from medloop.stack.credentials import Credentials, load_or_create
from medloop.stack.plan import BUCKET, Locals, Planner
from medloop.stack.state_folder import StateFolder, write_private

pytestmark = pytest.mark.services

RUNBOOK = Path(__file__).parents[2] / "docs/runbook.md"
FOR_GOOD = {
    "identity_key", "review_key", "erasure_key", "seaweed_sse_key", "airflow_fernet_key",
    "mlflow_admin_password", "mlflow_frontend_password",
    *(f"seaweed_{name}_key" for name in ("write", "read", "filer_write", "filer_read")),
}  # fmt: skip


class Stack:
    """A state folder, and the SeaweedFS that `medloop up` would start in it."""

    def __init__(self, home: Path) -> None:
        self.folder = StateFolder(home)
        self.folder.prepare()
        self.settings = load_named_settings(home=home)
        self.local = Locals.of(self.settings, with_airflow=True)
        wanted = dict.fromkeys(self.local.wanted_ports(self.settings), 0)
        self.ports = ports.assign(wanted, before={}, room=programs.SEAWEED_ROOM)

    def start(self) -> tuple[Server, Credentials]:
        """SeaweedFS with what the credentials of now allow."""
        credentials = load_or_create(self.folder.credentials)
        plan = Planner(
            self.settings, self.folder, credentials, local=self.local, ports=self.ports
        ).plan()
        for path, text in plan.files.items():
            write_private(path, text)
        (program,) = [program for program in plan.programs if program.name == "seaweedfs"]
        server = Server(program, self.folder.logs)
        server.start()
        return server, credentials

    def client(self, credentials: Credentials, identity: str) -> BaseClient:
        access_key, secret_key = credentials.s3(identity)
        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.ports['s3']}",
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            region_name="us-east-1",
        )


def change_keys(home: Path) -> None:
    """What the runbook has between `medloop down` and `medloop up`."""
    (script,) = re.findall(r"^medloop down\n(.*?)^medloop up$", RUNBOOK.read_text(), re.M | re.S)
    whole = {**clean_environment(), "MEDLOOP_HOME": str(home)}
    subprocess.run(["bash", "-euc", script], env=whole, check=True, timeout=60)


def test_the_old_s3_keys_are_refused_and_nothing_is_lost(tmp_path: Path):
    stack = Stack(tmp_path)
    server, before = stack.start()
    key = "corrections/dt=2026-01-01/one.json"
    stack.client(before, "operator").put_object(Bucket=BUCKET, Key=key, Body=b"{}")
    server.stop()

    change_keys(tmp_path)

    server, after = stack.start()
    try:
        for identity in ("frontend", "trainer"):
            found = stack.client(after, identity).get_object(Bucket=BUCKET, Key=key)
            assert found["Body"].read() == b"{}"
            with pytest.raises(ClientError, match="InvalidAccessKeyId"):
                stack.client(before, identity).get_object(Bucket=BUCKET, Key=key)
    finally:
        server.stop()


def test_only_the_keys_that_may_change_do(tmp_path: Path):
    home = tmp_path / "a folder"
    home.mkdir()
    load_or_create(home / "credentials.json")
    before = json.loads((home / "credentials.json").read_text())
    change_keys(home)
    load_or_create(home / "credentials.json")
    after = json.loads((home / "credentials.json").read_text())
    assert {name for name in before if before[name] == after[name]} == FOR_GOOD


@pytest.mark.slow
def test_a_database_of_an_older_mlflow_is_brought_up_to_date(tmp_path: Path):
    database = f"sqlite:///{tmp_path}/mlflow.db"
    engine = sqlalchemy.create_engine(database)
    InitialBase.metadata.create_all(engine)
    config = utils._get_alembic_config(database)
    scripts = ScriptDirectory.from_config(config)
    before = scripts.get_revision(utils._get_latest_schema_revision()).down_revision
    alembic.command.upgrade(config, before)
    with pytest.raises(MlflowException, match="out-of-date database schema"):
        utils._verify_schema(engine)

    (command,) = re.findall(r"`(mlflow db upgrade [^`]+)`", RUNBOOK.read_text())
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    whole = {**clean_environment(), "DATABASE": database, "PATH": path}
    subprocess.run(["bash", "-euc", command], env=whole, check=True, timeout=120)

    utils._verify_schema(engine)
