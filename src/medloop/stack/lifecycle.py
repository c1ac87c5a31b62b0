"""The life of a local stack on this machine: its start, its watch and its stop."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TextIO

from medloop.errors import ServiceError
from medloop.missing_extras import how_to_install
from medloop.settings import NamedSettings
from medloop.stack import ports
from medloop.stack.bring_up import BringUp
from medloop.stack.credentials import load_or_create
from medloop.stack.exit_log import describe_exit
from medloop.stack.plan import Locals, Planner, StackPlan
from medloop.stack.process_events import Event, Watch
from medloop.stack.programs import SEAWEED_ROOM, Program, seaweed_sockets
from medloop.stack.start_record import StartRecord, read_record
from medloop.stack.state_folder import StateFolder, write_private
from medloop.stack.status import describe_settings
from medloop.stack.supervisor import Supervisor, environment_file

MIN_FREE_BYTES = 1 << 30
# What a component must not inherit from whoever calls `medloop up`: it gets its own.
FOREIGN = ("AWS_", "MLFLOW_", "MEDLOOP_", "AIRFLOW_", "DAGSHUB_", "STREAMLIT_", "WEED_")


class LocalStack:
    """A stack that this process starts; in the foreground it also watches and stops it."""

    def __init__(
        self, settings: NamedSettings, *, with_airflow: bool, with_training: bool = True
    ) -> None:
        self.settings = settings
        self.with_training = with_training
        self.folder = StateFolder(settings.home.absolute())
        self.supervisor = Supervisor(self.folder)
        self.local = Locals.of(settings, with_airflow=with_airflow)
        self._guard: subprocess.Popen[bytes] | None = None
        self._lock: TextIO | None = None

    def launch(self, *, daemon: bool) -> StackPlan:
        """Check everything, write the configuration and start a supervisor with nothing running.

        Raises:
            ServiceError: Something is in the way; the sentence says what to do.
        """
        check_host(self.settings)
        check_database(self.settings, self.folder)
        self.folder.prepare()
        self._take_lock()
        _remove_sockets(self.folder)
        self._check_disk()
        plan = self._make_plan()
        for program in plan.programs:
            check_program(program)
        self._write(plan)
        environment = inherited_environment(os.environ)
        self._guard = self.supervisor.launch(plan.programs, environment=environment, daemon=daemon)
        return plan

    def bring_up(self, plan: StackPlan) -> Iterator[Event]:
        """Start every component as soon as what it needs is ready. See `BringUp.run`."""
        return BringUp(self.folder, plan, self.supervisor).run()

    def watch(self, plan: StackPlan) -> Iterator[Event]:
        """Yield events until the stack ends, and one without text each half second.

        Raises:
            ServiceError: It ended, and nobody asked it to.
        """
        watch = Watch(self.folder, plan.programs, self.supervisor)
        while self._guard is not None and self._guard.poll() is None:
            with contextlib.suppress(ServiceError):  # the supervisor is going; so will its guard
                yield from watch.look()
            yield Event("log", "", "")
            time.sleep(0.5)
        if self._guard is not None and self._guard.returncode != 0:
            ended = describe_exit(self._guard.returncode)
            raise ServiceError(
                f"The supervisor ended ({ended}), and everything with it: `medloop up` starts it "
                "again"
            )

    def stop(self) -> None:
        """Stop everything, in order; by force where asking does not help."""
        try:
            shut_down(self.folder)
        finally:
            if self._guard is not None:
                self._guard.terminate()
                self._guard.wait()

    def kill(self) -> None:
        """Stop everything at once."""
        while self._guard is not None and self._guard.poll() is None:
            self._guard.send_signal(signal.SIGINT)  # the guard takes the second one as "now"
            time.sleep(0.2)

    def _take_lock(self) -> None:
        """Take a lock until this process ends, so that of two at once only one goes on."""
        self._lock = os.fdopen(os.open(self.folder.lock, os.O_WRONLY | os.O_CREAT, 0o600), "w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            taken = self.supervisor.is_running()
        except OSError:
            taken = True
        if taken:
            raise ServiceError(
                f"medloop is already up in {self.folder.home}: `medloop status` shows it, "
                "`medloop down` stops it (another MEDLOOP_HOME with ports of 0 starts a second one)"
            )

    def _check_disk(self) -> None:
        free = shutil.disk_usage(self.folder.home).free
        if free < MIN_FREE_BYTES:
            raise ServiceError(
                f"Only {free / 2**20:.0f} MiB are free in {self.folder.home}, and the services "
                "want 1024: free space, or set MEDLOOP_HOME to a folder on another disk"
            )

    def _make_plan(self) -> StackPlan:
        wanted = self.local.wanted_ports(self.settings)
        assigned = ports.assign(wanted, before=read_record(self.folder).ports, room=SEAWEED_ROOM)
        credentials = load_or_create(self.folder.credentials)
        planner = Planner(self.settings, self.folder, credentials, local=self.local, ports=assigned)
        with_migration = not self._is_migrated()
        plan = planner.plan(with_training=self.with_training, with_migration=with_migration)
        named = describe_settings(self.settings)
        StartRecord(assigned, plan.addresses, named).write(self.folder)
        return plan

    def _is_migrated(self) -> bool:
        """Tell if Airflow's database is of the installed version: an idle migration takes 6 s."""
        marker = self.folder.airflow_migrated
        installed = marker.read_text() if self.local.airflow and marker.exists() else None
        return installed is not None and installed == version("apache-airflow")

    def _write(self, plan: StackPlan) -> None:
        for path, text in plan.files.items():
            write_private(path, text)
        for program in plan.programs:
            environment = json.dumps(dict(program.environment))
            write_private(environment_file(self.folder, program), environment)
        lines = [f"{name}={value}\n" for name, value in plan.operator_env.items()]
        write_private(self.folder.operator_env, "".join(lines))


def check_host(settings: NamedSettings) -> None:
    """Refuse a page that people elsewhere could reach and that asks nobody who they are.

    Raises:
        ServiceError: It would be one, or its login is half set.
    """
    if settings.oidc_issuer and not (settings.oidc_client_id and settings.oidc_client_secret):
        raise ServiceError(
            "MEDLOOP_OIDC_ISSUER is set, but not who the page is there: give "
            "MEDLOOP_OIDC_CLIENT_ID and MEDLOOP_OIDC_CLIENT_SECRET"
        )
    if settings.host != ports.LOOPBACK and not (settings.oidc_issuer or settings.allow_remote):
        raise ServiceError(
            f"MEDLOOP_HOST is {settings.host}, and the page has no login: set MEDLOOP_OIDC_ISSUER "
            f"and its client, put a proxy with a login in front of {ports.LOOPBACK}, or set "
            "MEDLOOP_ALLOW_REMOTE=true if everybody who reaches that address may use it"
        )


def check_database(settings: NamedSettings, folder: StateFolder) -> None:
    """Refuse a PostgreSQL that cannot be used, or beside which models would seem lost.

    Raises:
        ServiceError: There is no driver, or MLflow's database is a file of this folder so far.
    """
    if settings.postgres_url is None:
        return
    if find_spec("psycopg") is None:
        raise ServiceError(f"PostgreSQL wants psycopg: {how_to_install('postgres')}")
    if folder.mlflow_database.exists():
        raise ServiceError(
            f"MEDLOOP_POSTGRES_URL is set, but the models of {folder.home} are in "
            f"{folder.mlflow_database}, and nothing moves them: use another MEDLOOP_HOME"
        )


def shut_down(folder: StateFolder) -> bool:
    """Stop the stack of a state folder, whoever started it; False where none runs.

    Raises:
        ServiceError: It does not stop.
    """
    supervisor = Supervisor(folder)
    if not supervisor.is_running():
        return False
    supervisor.shut_down()
    _remove_sockets(folder)
    return True


def _remove_sockets(folder: StateFolder) -> None:
    """Remove the sockets that a killed SeaweedFS of this folder left."""
    assigned = read_record(folder).ports
    for socket in seaweed_sockets(assigned) if "s3" in assigned else []:
        socket.unlink(missing_ok=True)


def inherited_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Leave settings and keys out of an environment: each component gets its own."""
    shared = {name: value for name, value in environment.items() if not name.startswith(FOREIGN)}
    own = shared.get("NO_PROXY") or shared.get("no_proxy")
    past_proxies = ",".join(filter(None, [own, "127.0.0.1,localhost"]))
    # Deprecations concern nobody who reads these logs.
    quiet = {"PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"}
    return {**shared, **quiet, "NO_PROXY": past_proxies, "no_proxy": past_proxies}


def check_program(program: Program) -> None:
    """Refuse to start half a stack.

    Raises:
        ServiceError: The program's file is not there, or may not be run.
    """
    path = Path(program.command[0])
    if path.is_file() and os.access(path, os.X_OK):
        return
    kind = program.name.partition("-")[0]
    extra = kind if kind in {"airflow", "app"} else "services"
    instead = ", and `medloop up --no-airflow` does without" if extra == "airflow" else ""
    install = how_to_install(extra)
    raise ServiceError(f"{path.name} is missing beside {sys.executable}: {install}{instead}")
