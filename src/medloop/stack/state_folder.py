"""The state folder of one local stack: where everything lies, and files that only their owner may read."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from medloop.errors import ServiceError
from medloop.settings import LOCAL_ENV

SOCKET_PATH_LIMIT = 100  # the kernel takes 107 bytes on Linux and 103 on macOS


@dataclass(frozen=True, slots=True)
class StateFolder:
    """Paths below `settings.home`, absolute."""

    home: Path

    @property
    def operator_env(self) -> Path:
        """Settings for the person at this machine, read by `medloop.settings`."""
        return self.home / LOCAL_ENV

    @property
    def credentials(self) -> Path:
        """Every generated secret."""
        return self.home / "credentials.json"

    @property
    def record(self) -> Path:
        """What the last `up` started, and on which ports."""
        return self.home / "stack.json"

    @property
    def lock(self) -> Path:
        """Held while somebody starts the stack or runs it in the foreground."""
        return self.home / "up.lock"

    @property
    def config(self) -> Path:
        """Generated configuration and environments of the components."""
        return self.home / "config"

    @property
    def logs(self) -> Path:
        """One log a component."""
        return self.home / "logs"

    @property
    def supervisor_log(self) -> Path:
        """What the supervisor did."""
        return self.logs / "supervisord.log"

    @property
    def seaweedfs(self) -> Path:
        """Objects."""
        return self.home / "seaweedfs"

    @property
    def mlflow(self) -> Path:
        """MLflow's databases."""
        return self.home / "mlflow"

    @property
    def airflow(self) -> Path:
        """AIRFLOW_HOME."""
        return self.home / "airflow"

    @property
    def airflow_migrated(self) -> Path:
        """Holds the version of Airflow that last brought its database up to date."""
        return self.airflow / "migrated"

    @property
    def dag_opened(self) -> Path:
        """There once the DAG has been unpaused."""
        return self.airflow / "dag-opened"

    @property
    def socket(self) -> Path:
        """Where the supervisor listens; in the temporary folder if the path here were too long for a socket."""
        path = self.home / "run" / "supervisor.sock"
        if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT:
            return path
        digest = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        return Path(tempfile.gettempdir(), f"medloop-{os.getuid()}-{digest}", "supervisor.sock")

    def prepare(self) -> None:
        """Create the folders, for their owner alone.

        Raises:
            ServiceError: The place cannot be written to, or belongs to somebody else.
        """
        folders = (
            self.home,
            self.config,
            self.logs,
            self.seaweedfs,
            self.mlflow,
            self.airflow,
            self.socket.parent,
        )
        for folder in folders:
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                folder.chmod(0o700)
            except OSError as error:
                raise ServiceError(
                    f"The state folder {folder} cannot be used ({error.strerror}): "
                    "set MEDLOOP_HOME to a folder that you may write to"
                ) from error


def write_private(path: Path, text: str) -> None:
    """Replace a file at once, readable by its owner only from its first byte on.

    Raises:
        ServiceError: It cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(path)
    except OSError as error:
        raise ServiceError(
            f"{path} cannot be written ({error.strerror}): free space or fix its rights"
        ) from error
