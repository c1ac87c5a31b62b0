"""Somebody else on this machine, without any credential: tries every door of a stack."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any, Final

NOBODY: Final = 65534
TIMEOUT_S: Final = 5.0
LOOPBACK: Final = "127.0.0.1"
HTTP2: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
# Of every server in the stack: what reads, what lists, what changes. All are tried on all ports.
PATHS: Final = (
    "/",
    # SeaweedFS: master, volume, filer, admin
    "/col/delete?collection=medloop", "/vol/status", "/vol/grow?collection=medloop&count=1",
    "/vol/vacuum?garbageThreshold=0.0001", "/dir/status", "/dir/assign?collection=medloop",
    "/dir/lookup?volumeId=1", "/dir/lookup?fileId=1,01637037d6", "/cluster/status", "/submit",
    "/status", "/ui/index.html", "/stats/counter", "/stats/disk", "/stats/memory", "/metrics",
    "/1,01637037d6", "/delete?fid=1,01637037d6", "/admin/assign_volume?volume=99",
    "/admin/vacuum_volume_check?volume=1", "/buckets/", "/buckets/medloop/", "/topics/",
    "/buckets/medloop/kept/picture.png", "/etc/iam/identity.json", "/?pretty=y", "/api/config",
    "/debug/pprof/",
    # S3 and its IAM
    "/medloop", "/medloop?list-type=2", "/medloop/kept/picture.png", "/medloop?policy", "/mlflow",
    "/?Action=ListUsers&Version=2010-05-08",
    # MLflow
    "/api/2.0/mlflow/experiments/search?max_results=5", "/api/2.0/mlflow/users/list",
    "/api/2.0/mlflow/registered-models/search", "/api/2.0/mlflow-artifacts/artifacts",
    "/ajax-api/2.0/mlflow/experiments/search?max_results=5", "/graphql", "/get-artifact",
    # Airflow
    "/api/v2/dags", "/api/v2/connections", "/api/v2/variables", "/api/v2/config", "/ui/config",
    "/api/v2/dags/medloop_watch/dagRuns", "/execution/connections/aws_default", "/auth/token",
    # Streamlit
    "/_stcore/stream", "/_stcore/upload_file/a/b", "/media/picture.png", "/_stcore/metrics",
)  # fmt: skip
METHODS: Final = ("GET", "PUT", "POST", "DELETE")


def as_somebody_else(act: Callable[[], Any]) -> Any:
    """Run in a process of user `nobody` (of this user, if it may not change), without secrets."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _become_nobody()
            said = {"found": act()}
        except BaseException as error:
            said = {"error": repr(error)}
        with os.fdopen(writing, "w") as pipe:
            json.dump(said, pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = json.load(pipe)
    os.waitpid(child, 0)
    assert "error" not in answer, answer["error"]
    return answer["found"]


def _become_nobody() -> None:
    os.environ.clear()
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def http_answers(port: int) -> Iterator[tuple[str, int, str]]:
    """(request, status, beginning of the body) of everything that plain HTTP gets here."""
    for path in PATHS:
        for method in METHODS:
            connection = http.client.HTTPConnection(LOOPBACK, port, timeout=TIMEOUT_S)
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection.request(method, path, body=b"x" if method != "GET" else None)
                answer = connection.getresponse()
                yield f"{method} {path}", answer.status, answer.read(2000).decode("latin-1")
            connection.close()


def tls_answer(port: int, *, request: bytes) -> bytes:
    """What comes back through TLS by somebody who shows no certificate; b"" for nothing."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"] if request == HTTP2 else ["http/1.1"])
    with contextlib.suppress(OSError):
        plain = socket.create_connection((LOOPBACK, port), TIMEOUT_S)
        with plain, context.wrap_socket(plain) as inside:
            inside.sendall(request)
            return inside.recv(2000)
    return b""


def speaks_grpc(port: int) -> bool:
    """Tell if a plain HTTP/2 connection is greeted with settings, as gRPC without TLS does."""
    with (
        contextlib.suppress(OSError),
        socket.create_connection((LOOPBACK, port), TIMEOUT_S) as plain,
    ):
        plain.settimeout(TIMEOUT_S)
        plain.sendall(HTTP2)
        return plain.recv(9)[3:4] == b"\x04"
    return False


def opens(path: str) -> bool:
    """Tell if a Unix socket takes a connection."""
    with socket.socket(socket.AF_UNIX) as plain:
        return plain.connect_ex(path) == 0
