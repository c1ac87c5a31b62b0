"""A real PostgreSQL for tests: a cluster of its own in a temporary folder, on a free port."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote

import pytest

from medloop.stack import programs
from medloop.stack.ports import free_ports
from tests.servers import Server, clean_environment

SUPERUSER = "postgres"


def binaries() -> Path:
    """The folder of `initdb`; skips where PostgreSQL is not installed, unless CI says it
    must be.
    """
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = [*debian[-1:], *filter(None, [shutil.which("initdb")])]
    if not found and not os.environ.get("REQUIRE_POSTGRES"):
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    assert found, "REQUIRE_POSTGRES is set, and PostgreSQL is not installed"
    return Path(found[0]).resolve().parent


class Postgres(Server):
    """The cluster; its superuser has a password that an address must quote."""

    password = "a%b/c@d"

    def __init__(self) -> None:
        self.binaries = binaries()
        (self.port,) = free_ports(1)
        folder = Path(tempfile.mkdtemp(prefix="medloop-postgres-"))
        self.data = folder / "data"
        # initdb refuses root, as which CI runs.
        as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        self._as_user = as_user if os.geteuid() == 0 else []
        options = {"port": self.port, "listen_addresses": "127.0.0.1", "fsync": "off"}
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        settings += ["-c", "unix_socket_directories="]
        command = (*self._as_user, str(self.binaries / "postgres"), "-D", str(self.data), *settings)
        super().__init__(programs.Program("postgres", command, {}), folder)

    def start(self) -> None:
        if not self.data.exists():
            self._create()
        super().start()

    def _create(self) -> None:
        secret = self.folder / "password"
        secret.write_text(self.password)
        if self._as_user:
            shutil.chown(self.folder, "nobody")
            shutil.chown(secret, "nobody")
        where = ("--pgdata", self.data, "--username", SUPERUSER, "--pwfile", secret)
        how = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync")
        command = [*self._as_user, self.binaries / "initdb", *where, *how]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True, timeout=120)

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        command = [
            self.binaries / "pg_isready",
            "--quiet",
            f"--port={self.port}",
            "--host=127.0.0.1",
        ]
        return subprocess.run(command, check=False).returncode == 0

    def stop(self) -> None:
        super().stop()
        shutil.rmtree(self.folder)

    @property
    def environment(self) -> dict[str, str]:
        """What PostgreSQL's own commands need to reach it as its superuser."""
        return {
            **clean_environment(),
            "PATH": f"{self.binaries}:{os.environ['PATH']}",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": SUPERUSER,
            "PGPASSWORD": self.password,
        }

    def run(self, script: str, *, cwd: Path, **environment: str) -> str:
        """Run a shell script with PostgreSQL's commands; what it prints."""
        done = subprocess.run(
            ["bash", "-euc", script], env={**self.environment, **environment}, cwd=cwd,
            capture_output=True, text=True, check=False, timeout=180,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def url(self, database: str, *, user: str, password: str) -> str:
        """What SQLAlchemy takes."""
        login = f"{user}:{quote(password, safe='')}"
        return f"postgresql+psycopg://{login}@127.0.0.1:{self.port}/{database}"


def new_password() -> str:
    """A password that has to be quoted in an address, and in an ini file."""
    return f"a%b/c@d{secrets.token_hex(8)}"
