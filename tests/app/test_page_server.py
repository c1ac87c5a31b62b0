"""The page's server as `medloop up` starts it: which requests of other sites it refuses."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

import pytest
from tests.servers import Server

from medloop.stack.ports import LOOPBACK, free_ports
from medloop.stack.programs import app

BOUNDARY = "frontier"
FILE = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n'
    f"Content-Type: image/png\r\n\r\nx\r\n--{BOUNDARY}--\r\n"
)
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("page")
    (port,) = free_ports(1)
    page = Server(
        app(
            host=LOOPBACK,
            port=port,
            max_upload_mb=1,
            environment={"MEDLOOP_HOME": str(folder)},
            login_file=folder / "login.toml",
            known_as=[LOOPBACK, "localhost", "medloop.clinic.example"],
        ),
        folder,
    )
    page.start()
    yield port
    page.stop()


def status(port: int, method: str, path: str, body: str = "", **headers: str) -> int:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=20)
    try:
        connection.request(
            method, path, body, {name.replace("_", "-"): value for name, value in headers.items()}
        )
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", 101),
        ("localhost:1234", 101),
        ("medloop.clinic.example", 101),
        ("rebound.example", 403),
        ("medloop.clinic.example.rebound.example", 403),
        ("127.0.0.1@rebound.example", 403),
        ("192.168.0.1", 403),
        ("", 403),
    ],
)
def test_a_site_whose_name_points_here_gets_no_session(port: int, host: str, expected: int) -> None:
    """DNS rebinding: the browser believes that the page is part of that site."""
    assert status(port, "GET", "/_stcore/stream", Host=host, **HANDSHAKE) == expected


@pytest.mark.parametrize("origin", ["https://other.example", "null"])
def test_a_page_of_another_site_gets_no_session(port: int, origin: str) -> None:
    assert (
        status(port, "GET", "/_stcore/stream", Host=f"127.0.0.1:{port}", Origin=origin, **HANDSHAKE)
        == 403
    )


@pytest.mark.parametrize(
    "cookie", ["", "_streamlit_xsrf=2|12345678|00|1", "_streamlit_xsrf=forged"]
)
def test_an_upload_without_a_token_is_refused(port: int, cookie: str) -> None:
    headers = {"Content_Type": f"multipart/form-data; boundary={BOUNDARY}"}
    if cookie:
        headers["Cookie"] = cookie
    for method in ("PUT", "DELETE"):
        assert status(port, method, "/_stcore/upload_file/session/file", FILE, **headers) == 403
