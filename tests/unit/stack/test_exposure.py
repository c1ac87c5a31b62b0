"""What `medloop doctor` says of who else may reach the local stack."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from medloop.settings import Settings
from medloop.stack.exposure import look_at_rights


@contextmanager
def server(content_type: str, *, asks: bool = False) -> Iterator[int]:
    """Answers every GET, unless it `asks` for a password."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(401 if asks else 200)
            self.send_header("Content-Type", content_type)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as it:
        threading.Thread(target=it.serve_forever, daemon=True).start()
        yield it.server_port
        it.shutdown()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    return home


def rights(home: Path, *, port: int) -> tuple[str, str]:
    (home / "stack.json").write_text(json.dumps({"ports": {"master": port}, "addresses": []}))
    found = look_at_rights(Settings(home=home))
    return found.outcome, found.says


def test_a_folder_without_a_stack_has_nothing_to_close(home: Path) -> None:
    assert look_at_rights(Settings(home=home)).outcome == "ok"


def test_a_port_that_gives_data_unasked_is_named(home: Path) -> None:
    with server("application/json") as port:
        assert rights(home, port=port) == ("failed", f"port {port} (master) answers anybody")


@pytest.mark.parametrize(("content_type", "asks"), [("text/html", False), ("text/json", True)])
def test_a_shell_or_a_refusal_is_no_data(home: Path, content_type: str, asks: bool) -> None:
    with server(content_type, asks=asks) as port:
        assert rights(home, port=port)[0] == "ok"


def test_grpc_without_a_certificate_is_named(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            connection = listener.accept()[0]
            connection.recv(100)
            connection.sendall(b"\x00\x00\x06\x04\x00\x00\x00\x00\x00" + b"\x00" * 6)

        threading.Thread(target=greet, daemon=True).start()
        assert rights(home, port=listener.getsockname()[1])[0] == "failed"


def test_a_folder_that_others_may_enter_is_named_with_what_lies_open_in_it(home: Path) -> None:
    for name, mode in (("operator.env", 0o640), ("outbox.db", 0o600)):
        (home / name).touch()
        (home / name).chmod(mode)
    home.chmod(0o755)
    outcome, says = rights(home, port=1)
    assert outcome == "failed"
    assert f"others may enter {home} (mode 755)" in says
    assert f"others may read {home}/operator.env (mode 640)" in says
    assert "outbox.db" not in says


def test_a_store_on_another_disk_is_looked_at_too(home: Path, tmp_path: Path) -> None:
    """The folder's own mode does not protect what it only links to."""
    elsewhere = tmp_path / "large-disk"
    elsewhere.mkdir(mode=0o700)
    (home / "seaweedfs").symlink_to(elsewhere)
    assert rights(home, port=1)[0] == "ok"
    elsewhere.chmod(0o750)
    assert rights(home, port=1) == ("failed", f"others may enter {home}/seaweedfs (mode 750)")


def test_a_folder_without_a_stack_is_looked_at_too(home: Path) -> None:
    home.chmod(0o711)
    found = look_at_rights(Settings(home=home))
    assert (found.outcome, found.says) == ("warning", f"others may enter {home} (mode 711)")


def test_settings_that_others_may_read_are_named(home: Path) -> None:
    Path(".env").touch()
    Path(".env").chmod(0o644)
    assert rights(home, port=1) == ("warning", "others may read .env (mode 644)")
    Path(".env").chmod(0o600)
    assert rights(home, port=1)[0] == "ok"
