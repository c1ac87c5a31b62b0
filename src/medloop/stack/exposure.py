"""Check for `medloop doctor` that only the owner gets something out of the local stack."""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path
from typing import Final

import httpx

from medloop.jobs.doctor import Check, Finding
from medloop.settings import Settings
from medloop.stack.ports import LOOPBACK
from medloop.stack.programs import SEAWEED_ROOM
from medloop.stack.state_folder import StateFolder

SECRETS: Final = (Path(".env"), Path("config.py"))  # where settings may stand
WITHIN_S: Final = 3.0
# Of SeaweedFS' master, volumes, filer and S3, of MLflow and Airflow: what must not be told unasked.
PATHS: Final = (
    "/dir/status",
    "/status",
    "/buckets/",
    "/medloop?list-type=2",
    "/api/2.0/mlflow/experiments/search?max_results=1",
    "/api/v2/dags",
)
HTTP2: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
SETTINGS_FRAME: Final = b"\x04"


def look_at_rights(settings: Settings) -> Finding:
    """Look who may read the stores, and try every port of the last start without credentials."""
    folder = StateFolder(settings.home.absolute())
    wide = _readable(folder)
    if not folder.record.exists():
        if wide:
            return Finding("rights", "warning", "; ".join(wide), RIGHTS_FIX)
        return Finding("rights", "ok", "no local stack has been started here")
    if wide := [*wide, *_open_ports(folder.record)]:
        return Finding("rights", "failed", "; ".join(wide), RIGHTS_FIX)
    if secrets := [_describe(path) for path in SECRETS if path.is_file() and _is_wide(path)]:
        return Finding("rights", "warning", "; ".join(secrets), "`chmod 600` what may hold keys")
    login = "" if settings.oidc_issuer else "; the page asks nobody on this machine who they are"
    return Finding("rights", "ok", f"its files are the owner's, its ports want credentials{login}")


RIGHTS_FIX: Final = (
    "`chmod -R go=` what is named; stop the stack and start it again with `medloop up`"
)
RIGHTS: Final[Check] = ("rights", RIGHTS_FIX, look_at_rights)


def _readable(folder: StateFolder) -> list[str]:
    """Name what others get into: the state folder, what lies in it, and what it links to."""
    if not folder.home.exists():
        return []
    # Behind a closed folder only what is elsewhere can be reached, such as data on another disk.
    open_home = _is_wide(folder.home)
    inside = [path for path in sorted(folder.home.iterdir()) if open_home or path.is_symlink()]
    places = [folder.home, *inside, folder.socket.parent]
    return [_describe(path) for path in places if path.exists() and _is_wide(path)]


def _is_wide(path: Path) -> bool:
    return bool(path.stat().st_mode & 0o077)


def _describe(path: Path) -> str:
    verb = "enter" if path.is_dir() else "read"
    return f"others may {verb} {path} (mode {path.stat().st_mode & 0o777:o})"


def _open_ports(record: Path) -> list[str]:
    assigned: dict[str, int] = json.loads(record.read_text("utf-8"))["ports"]
    for name in assigned.keys() & SEAWEED_ROOM.keys():
        assigned[f"{name}_grpc"] = assigned[name] + SEAWEED_ROOM[name]
    with httpx.Client(timeout=WITHIN_S, trust_env=False) as client:
        return [
            f"port {port} ({name}) answers anybody"
            for name, port in assigned.items()
            if _speaks_grpc(port) or any(_tells(client, port, path) for path in PATHS)
        ]


def _tells(client: httpx.Client, port: int, path: str) -> bool:
    """Tell if a plain request gets data; the page's empty shell is HTML, and none."""
    try:
        url = f"http://{LOOPBACK}:{port}{path}"
        answer = client.get(url, headers={"Accept": "application/json"})
    except httpx.HTTPError:
        return False
    is_page = answer.headers.get("Content-Type", "").startswith("text/html")
    return answer.is_success and bool(answer.content) and not is_page


def _speaks_grpc(port: int) -> bool:
    """Tell if a connection without TLS is greeted by HTTP/2's settings."""
    with (
        contextlib.suppress(OSError),
        socket.create_connection((LOOPBACK, port), WITHIN_S) as plain,
    ):
        plain.settimeout(WITHIN_S)
        plain.sendall(HTTP2)
        return plain.recv(9)[3:4] == SETTINGS_FRAME
    return False
