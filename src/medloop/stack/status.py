"""The state of a stack: processes, uptime, memory, restarts, changed settings."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from medloop.settings import NamedSettings, variable_name
from medloop.stack.exit_log import read_ends
from medloop.stack.process_guard import descendants
from medloop.stack.start_record import read_record
from medloop.stack.state_folder import StateFolder
from medloop.stack.supervisor import Supervisor

# Settings of the start alone, which a command line may give for once, and of each caller.
NOT_COMPARED = {"home", "user", "app_port", "s3_port", "mlflow_port", "airflow_port"}


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """One line of `medloop status`."""

    name: str
    state: str  # supervisord's word, in lower case
    pid: int
    uptime_s: float
    memory_bytes: int | None  # PSS of the process tree; None where the system does not say
    restarts: int

    @property
    def is_well(self) -> bool:
        """Tell if nothing has to be done about it."""
        return self.state in {"running", "starting"}


def component_statuses(folder: StateFolder) -> list[ComponentStatus]:
    """List the components that are meant to run; what runs once is left out.

    Raises:
        ServiceError: Nothing runs.
    """
    restarts = Counter(name for name, _ in read_ends(folder.supervisor_log))
    now = datetime.now(UTC)
    found = []
    for state in Supervisor(folder).states():
        if state.state == "EXITED":
            continue
        since = state.started_at if state.started_at and state.is_up else now
        found.append(
            ComponentStatus(
                name=state.name,
                state=state.state.lower(),
                pid=state.pid,
                uptime_s=(now - since).total_seconds(),
                memory_bytes=_memory_bytes(state.pid) if state.is_up else None,
                restarts=restarts[state.name],
            )
        )
    return found


def changed_settings(folder: StateFolder, settings: NamedSettings) -> list[str]:
    """Say which settings a running stack was started with that are others now."""
    before, now = read_record(folder).settings, describe_settings(settings)
    if before is None or not Supervisor(folder).is_running():
        return []
    return [
        f"started with {name}={before.get(name, '')}, now {name}={now.get(name, '')}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]


def describe_settings(settings: NamedSettings) -> dict[str, str]:
    """Spell out, by variable, what was named for the components; secrets as a digest."""
    found = {}
    for name in settings.model_fields_set - NOT_COMPARED:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            digest = hashlib.sha256(value.get_secret_value().encode()).hexdigest()
            value = f"(secret {digest[:8]})"
        found[variable_name(name)] = str(value)
    return found


def _memory_bytes(pid: int) -> int | None:
    """Count shared pages in parts, so that the sum is what the components cost together."""
    sizes = [_pss_bytes(member) for member in (pid, *descendants([pid]))]
    known = [size for size in sizes if size is not None]
    return sum(known) if known else None


def _pss_bytes(pid: int) -> int | None:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:  # gone meanwhile, or not Linux
        pass
    return None
