"""The `medloop` command on a state folder of its own, and what its processes do."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from medloop.stack.ports import LOOPBACK
from medloop.stack.process_guard import descendants
from tests.servers import clean_environment, wait_until

MEDLOOP = str(Path(sys.executable).with_name("medloop"))
ANY_PORTS = {f"MEDLOOP_{name}_PORT": "0" for name in ("APP", "S3", "MLFLOW", "AIRFLOW")}


@dataclass
class LocalStack:
    """One state folder. `up` runs in the foreground, under the guard: it ends with pytest, however
    that ends.
    """

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    foreground: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def home(self) -> Path:
        return self.folder / ".medloop"

    @property
    def output(self) -> str:
        """All that `up` in the foreground has said."""
        path = self.folder / "up.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    @property
    def environment(self) -> dict[str, str]:
        return {
            **clean_environment(),
            **ANY_PORTS,
            "MEDLOOP_HOME": str(self.home),
            "COLUMNS": "200",
            **self.settings,
        }

    def run(self, *arguments: str, timeout_s: float = 240) -> subprocess.CompletedProcess[str]:
        """One command to its end."""
        return subprocess.run(
            [MEDLOOP, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def up(self, *arguments: str) -> None:
        """`medloop up` in the foreground; returns when it is ready."""
        with (self.folder / "up.log").open("wb") as log:
            self.foreground = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "medloop.stack.process_guard",
                    "--grace",
                    "90",
                    "--",
                    MEDLOOP,
                    "up",
                    *arguments,
                ],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_until(self._ready, what="`medloop up` should be ready", timeout_s=240, every_s=0.2)

    def _ready(self) -> bool:
        assert self.foreground is not None
        assert self.foreground.poll() is None, self.output
        return "Ready: open the page" in self.output

    def stop(self) -> None:
        """Ctrl-C, if it runs in the foreground."""
        if self.foreground is not None and self.foreground.poll() is None:
            self.foreground.send_signal(signal.SIGINT)
            self.foreground.wait(120)

    def address(self, name: str) -> str:
        """Of the page, MLflow, Airflow or S3, as `up` prints it."""
        found = re.search(rf"^ +{name} +(http\S+)", self.output, re.MULTILINE)
        assert found, self.output
        return found[1]

    def operator(self) -> dict[str, str]:
        """What `operator.env` says."""
        lines = (self.home / "operator.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def processes(self) -> dict[int, str]:
        """Every living process that belongs to this state folder, by its command line or its
        environment.
        """
        mark = os.fsencode(self.home)
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                command, environment = (
                    (entry / "cmdline").read_bytes(),
                    (entry / "environ").read_bytes(),
                )
                state = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
            except OSError:
                continue
            if state != "Z" and (mark in command or mark in environment):
                found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace")
        return found

    def pid_of(self, part: str) -> int:
        """The process whose command line contains `part`, the guards left out."""
        (pid, *_) = [
            pid
            for pid, command in self.processes().items()
            if part in command and "guard.py" not in command
        ]
        return pid

    def listening(self) -> set[tuple[str, int]]:
        """(address, port) of every TCP socket on which a process of this stack listens."""
        places = [line.split()[3].rpartition(":") for line in self._listeners("-t")]
        return {(host, int(port)) for host, _, port in places}

    def sockets(self) -> set[Path]:
        """Every Unix socket on which a process of this stack listens."""
        return {Path(line.split()[4]) for line in self._listeners("-x")}

    def _listeners(self, kind: str) -> list[str]:
        shown = subprocess.run(["ss", "-Hlnp", kind], capture_output=True, text=True, check=True)
        known = list(self.processes())
        own = {*known, *descendants(known)}  # Airflow's hide their environment under a title
        return [
            line
            for line in shown.stdout.splitlines()
            if any(int(pid) in own for pid in re.findall(r"pid=(\d+)", line))
        ]


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    return host.strip("[]") in {LOOPBACK, "::1", "::ffff:127.0.0.1"}
