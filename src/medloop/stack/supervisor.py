"""supervisord: its configuration, its start under the guard, and its socket."""

from __future__ import annotations

import http.client
import os
import shlex
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

import medloop.stack.process_guard
from medloop.errors import ServiceError
from medloop.stack.programs import Program, executable
from medloop.stack.state_folder import StateFolder, write_private

START_WITHIN_S = 60  # for supervisord itself
GRACE_S = 10  # from TERM to KILL, for a component
STOP_ORDER = ("seaweedfs", "mlflow")  # stop last, from the end; all else stops first, together
RUNNING = {"STARTING", "RUNNING"}


@dataclass(frozen=True, slots=True)
class State:
    """A component as supervisord sees it."""

    name: str
    state: str  # STOPPED, STARTING, RUNNING, BACKOFF (a restart waits), EXITED, FATAL (given up) …
    pid: int  # of its guard; 0: none
    started_at: datetime | None
    exit_status: int

    @property
    def is_up(self) -> bool:
        """Tell if its process lives."""
        return self.state in RUNNING and self.pid > 0


class Supervisor:
    """The supervisor of one state folder, whether it runs or not."""

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder

    def launch(
        self, programs: Iterable[Program], *, environment: Mapping[str, str], daemon: bool
    ) -> subprocess.Popen[bytes]:
        """Start supervisord, with nothing in it started yet; returns its guard once it answers.

        All programs inherit the environment. A daemon lives on when this process ends.
        """
        config = self._folder.config / "supervisord.conf"
        write_private(config, configuration(self._folder, programs))
        guard = [*guard_command(grace_s=6 * GRACE_S), *(["--outlive-parent"] if daemon else [])]
        options = ("--nodaemon", "--silent", "--configuration", str(config))
        said = self._folder.logs / "supervisord.out"
        write_private(said, "")
        with said.open("ab") as output:
            process = subprocess.Popen(
                [*guard, "--", executable("supervisord"), *options],
                cwd=self._folder.home,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=0o077,
            )
        try:
            self._await(process, said)
        except BaseException:
            process.terminate()
            raise
        return process

    def _await(self, process: subprocess.Popen[bytes], said: Path) -> None:
        until = time.monotonic() + START_WITHIN_S
        while not self.is_running():
            if process.poll() is not None or time.monotonic() > until:
                why = said.read_text("utf-8", "replace").strip()[-500:]
                raise ServiceError(f"The supervisor does not start: {why or 'it gives no reason'}")
            time.sleep(0.05)

    def is_running(self) -> bool:
        """Tell if it answers."""
        try:
            return bool(self._call("getPID"))
        except ServiceError:
            return False

    def states(self) -> list[State]:
        """List all components, in the order of their configuration."""
        return [_state(info) for info in self._call("getAllProcessInfo")]

    def start(self, name: str) -> None:
        """Start a component, without waiting for it."""
        self._call("startProcess", f"{_group(name)}:{name}", False)

    def shut_down(self, *, within_s: float = 7.0 * GRACE_S) -> None:
        """Stop every component, the ones that others need last, and wait until all is gone.

        Raises:
            ServiceError: It is still there after the time.
        """
        pid = int(self._call("getPID"))
        self._call("shutdown")
        until = time.monotonic() + within_s
        while _is_alive(pid):
            if time.monotonic() > until:
                raise ServiceError(
                    f"The supervisor (process {pid}) does not stop: see {self._folder.logs}"
                )
            time.sleep(0.05)

    def _call(self, method: str, *arguments: Any) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self._folder.socket}")
        try:
            with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as proxy:
                return getattr(proxy.supervisor, method)(*arguments)
        except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
            raise ServiceError("Nothing runs here: start it with `medloop up`") from error
        except xmlrpc.client.Fault as error:
            raise ServiceError(
                f"The supervisor refuses {method} {arguments}: {error.faultString}"
            ) from error


def guard_command(*, grace_s: float) -> list[str]:
    """Call the guard by path and without site-packages: four times as fast as with `-m`."""
    file = medloop.stack.process_guard.__file__
    return [sys.executable, "-I", "-S", file, "--grace", str(grace_s)]


def environment_file(folder: StateFolder, program: Program) -> Path:
    """Place a component's environment where `ps` and supervisord's settings do not show it."""
    return folder.config / f"{program.name}.env.json"


def configuration(folder: StateFolder, programs: Iterable[Program]) -> str:
    """Write supervisord.conf. Nothing starts by itself: `bring_up` knows the order."""
    programs = list(programs)
    sections: dict[str, Mapping[str, object]] = {
        "supervisord": {
            "logfile": folder.supervisor_log,
            "logfile_maxbytes": "5MB",
            "logfile_backups": 1,
            "pidfile": folder.socket.parent / "supervisord.pid",
            "childlogdir": folder.logs,
            "directory": folder.home,
            "strip_ansi": "true",
        },
        "unix_http_server": {"file": folder.socket, "chmod": "0700"},
        "rpcinterface:supervisor": {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        },
    }
    sections |= {f"program:{program.name}": _program(folder, program) for program in programs}
    groups = _groups([program.name for program in programs])
    sections |= {f"group:{name}": options for name, options in groups}
    return "\n".join(_section(name, options) for name, options in sections.items())


def _program(folder: StateFolder, program: Program) -> dict[str, object]:
    environment = ("--environment", str(environment_file(folder, program)))
    command = [*guard_command(grace_s=GRACE_S), *environment, "--", *program.command]
    return {
        "command": shlex.join(command),
        "directory": folder.home,  # no .env, config.py or .streamlit of the user lies there
        "autostart": "false",
        "autorestart": "false" if program.once else "true",
        # An earlier end counts as a failed start, and waits longer each time.
        "startsecs": 0 if program.once else 5,
        "startretries": 0 if program.once else 20,
        "stopwaitsecs": 2 * GRACE_S,
        "redirect_stderr": "true",
        "stdout_logfile": folder.logs / f"{program.name}.log",
        "stdout_logfile_maxbytes": "5MB",
        "stdout_logfile_backups": 2,
    }


def _group(name: str) -> str:
    return name if name in STOP_ORDER else "others"


def _groups(names: list[str]) -> Iterable[tuple[str, dict[str, object]]]:
    """Group programs: groups stop one after the other, highest priority first."""
    for priority, group in enumerate((*STOP_ORDER, "others")):
        if members := [name for name in names if _group(name) == group]:
            yield group, {"programs": ",".join(members), "priority": priority}


def _section(name: str, options: Mapping[str, object]) -> str:
    lines = [f"{key} = {str(value).replace('%', '%%')}" for key, value in options.items()]
    return "\n".join([f"[{name}]", *lines, ""])


def _state(info: Mapping[str, Any]) -> State:
    started_at = datetime.fromtimestamp(info["start"], tz=UTC) if info["start"] else None
    return State(info["name"], info["statename"], info["pid"], started_at, info["exitstatus"])


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
