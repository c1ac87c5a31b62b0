"""Real servers for tests: free ports, temporary folders, and nothing left when pytest is killed
(medloop.stack.process_guard).
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import boto3
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from medloop.stack import ports, programs
from medloop.stack.certificate import make_certificate

SEAWEED_SECRETS = [
    *(f"WEED_JWT_{of}SIGNING{may}_KEY" for of in ("", "FILER_") for may in ("", "_READ")),
    "WEED_S3_SSE_KEY",
]
OWN_PREFIXES = ("AWS_", "MLFLOW_", "MEDLOOP_", "AIRFLOW_", "DAGSHUB_", "STREAMLIT_", "WEED_")


def wait_until(check, *, what: str, timeout_s: float = 60.0, every_s: float = 0.05) -> None:
    """Call `check` until it is true; fail with `what` after the time."""
    until = time.monotonic() + timeout_s
    while not check():
        if time.monotonic() > until:
            raise TimeoutError(f"{what} within {timeout_s:.0f} s")
        time.sleep(every_s)


def answers(url: str) -> bool:
    """Whether a GET gives 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


def clean_environment() -> dict[str, str]:
    """The environment without anything that medloop or its services would take as a setting."""
    return {key: value for key, value in os.environ.items() if not key.startswith(OWN_PREFIXES)}


@dataclass
class Server:
    """A program under the guard, with the log in its folder."""

    program: programs.Program
    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def log(self) -> Path:
        return self.folder / f"{self.program.name}.log"

    def start(self) -> None:
        """Start, or start again on the same ports and data; returns when it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "medloop.stack.process_guard", "--", *self.program.command],
                env={**clean_environment(), **self.program.environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
            )
        wait_until(
            self._ready, what=f"{self.program.name} should answer; log: {self.log}", timeout_s=180
        )

    def _ready(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise RuntimeError(
                f"{self.program.name} ended:\n{self.log.read_text('utf-8', 'replace')[-2000:]}"
            )
        return answers(self.program.health_url)

    def stop(self) -> None:
        """Stop in order (TERM)."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)

    def kill(self) -> None:
        """Pull the plug (KILL, no chance to flush); the guard goes with it."""
        assert self.process is not None
        children = (
            Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        )
        for pid in children:
            os.kill(int(pid), signal.SIGKILL)
        self.process.wait(30)


class SeaweedFS(Server):
    """S3 on this machine; two buckets, one identity with all rights."""

    bucket = "medloop"
    mlflow_bucket = "mlflow"
    region = "us-east-1"

    def __init__(self, folder: Path) -> None:
        self.access_key, self.secret_key = secrets.token_hex(10), secrets.token_hex(20)
        self.identities = folder / "s3.json"
        self.ports = ports.assign(
            dict.fromkeys(programs.seaweed_port_names(), 0), before={}, room=programs.SEAWEED_ROOM
        )
        self.endpoint = f"http://127.0.0.1:{self.ports['s3']}"
        self._write_identities()
        certificate = folder / "seaweedfs.pem"
        certificate.write_text(make_certificate())
        program = programs.seaweedfs(
            folder=folder / "data",
            identities=self.identities,
            buckets=[self.bucket, self.mlflow_bucket],
            ports=self.ports,
            certificate=certificate,
            secrets={name: secrets.token_hex(32) for name in SEAWEED_SECRETS},
        )
        (folder / "data").mkdir()
        super().__init__(program, folder)

    def _write_identities(self) -> None:
        identity = {
            "name": "operator",
            "credentials": [{"accessKey": self.access_key, "secretKey": self.secret_key}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        self.identities.write_text(json.dumps({"identities": [identity]}))

    def _ready(self) -> bool:
        return super()._ready() and self._has_buckets()

    def _has_buckets(self) -> bool:
        try:
            return {self.bucket, self.mlflow_bucket} <= {
                b["Name"] for b in self.client().list_buckets()["Buckets"]
            }
        except (BotoCoreError, ClientError):
            return False

    def client(self) -> BaseClient:
        """A boto3 S3 client with all rights: an independent view of what the code under
        test did.
        """
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                retries={"max_attempts": 1},
            ),
        )

    @property
    def environment(self) -> dict[str, str]:
        """Settings that point medloop here."""
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "MEDLOOP_S3_BUCKET": self.bucket,
        }

    def kill(self) -> None:
        super().kill()
        self._remove_sockets()

    def stop(self) -> None:
        super().stop()
        self._remove_sockets()

    def _remove_sockets(self) -> None:
        for socket in programs.seaweed_sockets(self.ports):
            socket.unlink(missing_ok=True)


class MLflowServer(Server):
    """MLflow behind basic auth, its artifacts on the given S3."""

    username = "admin"

    def __init__(self, folder: Path, store: SeaweedFS, *, database: str = "") -> None:
        self.password = secrets.token_urlsafe(16)
        (port,) = ports.free_ports(1)
        self.uri = f"http://127.0.0.1:{port}"
        auth = folder / "auth.ini"
        auth.write_text(
            programs.mlflow_auth_config(
                database or f"sqlite:///{folder}/auth.db",
                username=self.username,
                password=self.password,
            )
        )
        program = programs.mlflow(
            database=database or f"sqlite:///{folder}/mlflow.db",
            port=port,
            artifacts=f"s3://{store.mlflow_bucket}/artifacts",
            auth_config=auth,
            session_key=secrets.token_hex(32),
            environment={
                "MLFLOW_S3_ENDPOINT_URL": store.endpoint,
                "AWS_ACCESS_KEY_ID": store.access_key,
                "AWS_SECRET_ACCESS_KEY": store.secret_key,
                "AWS_DEFAULT_REGION": store.region,
            },
        )
        super().__init__(program, folder)

    @property
    def environment(self) -> dict[str, str]:
        """Settings that point medloop here."""
        return {
            "MLFLOW_TRACKING_URI": self.uri,
            "MLFLOW_TRACKING_USERNAME": self.username,
            "MLFLOW_TRACKING_PASSWORD": self.password,
        }
