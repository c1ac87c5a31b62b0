"""The state folder of one local stack, with files that only their owner may read."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from medloop.errors import ServiceError
from medloop.settings import LOCAL_ENV

SOCKET_PATH_LIMIT = 100  # the kernel takes 107 bytes on Linux and 103 on macOS


class StateFolder:
    """Paths below `settings.home`, absolute."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.operator_env = home / LOCAL_ENV  # read by `medloop.settings`, for who sits here
        self.credentials = home / "credentials.json"
        self.record = home / "stack.json"  # of the last `up`
        self.lock = home / "up.lock"  # held while somebody starts the stack or runs it in front
        self.config = home / "config"  # generated, with the components' environments
        self.login_file = self.config / "login.toml"
        self.s3_identities = self.config / "s3.json"
        self.s3_certificate = self.config / "seaweedfs.pem"
        self.mlflow_auth = self.config / "mlflow-auth.ini"
        self.airflow_passwords = self.config / "airflow-passwords.json"
        self.logs = home / "logs"
        self.supervisor_log = self.logs / "supervisord.log"
        self.seaweedfs = home / "seaweedfs"
        self.mlflow = home / "mlflow"
        self.mlflow_database = self.mlflow / "mlflow.db"
        self.airflow = home / "airflow"
        self.airflow_migrated = self.airflow / "migrated"  # holds the version that last did it
        self.dag_opened = self.airflow / "dag-opened"  # there once the DAGs have been unpaused

    @property
    def socket(self) -> Path:
        """Place the supervisor's socket; in the temporary folder if this path is too long."""
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
        inner = (self.config, self.logs, self.seaweedfs, self.mlflow, self.airflow)
        for folder in (self.home, *inner, self.socket.parent):
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                folder.chmod(0o700)
            except OSError as error:
                raise ServiceError(
                    f"The state folder {folder} cannot be used ({error.strerror}): "
                    "set MEDLOOP_HOME to a folder that you may write to"
                ) from error


def write_private(path: Path, text: str) -> None:
    """Replace a file at once; only its owner can read it, from its first byte on.

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
