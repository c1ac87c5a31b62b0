"""Secrets of the local stack: generated once, kept in one file that only its owner may read."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from medloop.errors import ServiceError
from medloop.stack.state_folder import write_private


def _access_key() -> str:
    return secrets.token_hex(10).upper()


def _secret() -> str:
    return secrets.token_hex(24)


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """One field per secret; what a newer medloop adds is generated when the file is next read."""

    s3_operator_access_key: str = field(default_factory=_access_key)
    s3_operator_secret_key: str = field(default_factory=_secret)
    s3_frontend_access_key: str = field(default_factory=_access_key)
    s3_frontend_secret_key: str = field(default_factory=_secret)
    s3_trainer_access_key: str = field(default_factory=_access_key)
    s3_trainer_secret_key: str = field(default_factory=_secret)
    s3_mlflow_access_key: str = field(default_factory=_access_key)
    s3_mlflow_secret_key: str = field(default_factory=_secret)
    seaweed_write_key: str = field(default_factory=_secret)
    seaweed_read_key: str = field(default_factory=_secret)
    seaweed_filer_write_key: str = field(default_factory=_secret)
    seaweed_filer_read_key: str = field(default_factory=_secret)
    seaweed_sse_key: str = field(default_factory=lambda: secrets.token_hex(32))  # exactly 256 bits
    mlflow_admin_password: str = field(default_factory=_secret)
    mlflow_frontend_password: str = field(default_factory=_secret)
    mlflow_session_key: str = field(default_factory=_secret)
    airflow_password: str = field(default_factory=_secret)
    airflow_frontend_password: str = field(default_factory=_secret)
    airflow_jwt_secret: str = field(default_factory=lambda: secrets.token_hex(64))  # for HS512
    airflow_fernet_key: str = field(default_factory=_fernet_key)
    cookie_key: str = field(default_factory=_secret)  # signs the page's login cookie
    identity_key: str = field(default_factory=_secret)
    review_key: str = field(default_factory=_secret)
    erasure_key: str = field(default_factory=_secret)

    def s3(self, identity: str) -> tuple[str, str]:
        """Pick access key and secret key of operator, frontend, trainer or mlflow."""
        access_key: str = getattr(self, f"s3_{identity}_access_key")
        return access_key, getattr(self, f"s3_{identity}_secret_key")


def load_or_create(path: Path) -> Credentials:
    """Read the secrets in `path`; generate and keep what is missing there.

    Raises:
        ServiceError: The file is broken. New secrets would lock the stack out of its own data, so
            none are made.
    """
    known = _read(path)
    names = {field.name for field in fields(Credentials)}
    credentials = Credentials(**{name: known[name] for name in known.keys() & names})
    if asdict(credentials) != known:
        write_private(path, json.dumps(asdict(credentials), indent=1))
    return credentials


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        known = json.loads(path.read_text("utf-8"))
        if isinstance(known, dict) and all(isinstance(value, str) for value in known.values()):
            return known
        reason = "it does not hold an object of texts"
    except (OSError, ValueError) as error:
        reason = str(error)
    raise ServiceError(
        f"{path} holds the passwords of the local services and cannot be read ({reason}): "
        "restore it from a backup, or use another MEDLOOP_HOME"
    )
