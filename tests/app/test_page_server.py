"""The page's server as `medloop up` starts it: which requests it refuses, and what its
headers say.
"""

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


def ask(
    port: int, method: str, path: str, body: str = "", **headers: str
) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=20)
    try:
        connection.request(
            method, path, body, {name.replace("_", "-"): value for name, value in headers.items()}
        )
        return connection.getresponse()
    finally:
        connection.close()


def status(port: int, method: str, path: str, body: str = "", **headers: str) -> int:
    return ask(port, method, path, body, **headers).status


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


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://localhost:8501", 101),
        ("http://localhost:8502", 403),
        ("http://localhost", 403),
        ("http://127.0.0.1:8501", 403),
        ("https://foreign.example", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_a_page_of_another_origin_gets_no_session(port: int, origin: str, expected: int) -> None:
    """Not even of another port of this machine: without a login it would be the local user."""
    found = status(
        port, "GET", "/_stcore/stream", Host="localhost:8501", Origin=origin, **HANDSHAKE
    )
    assert found == expected


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


@pytest.mark.parametrize("path", ["/", "/models", "/_stcore/health", "/auth/logout", "/nothing"])
def test_no_other_page_may_frame_or_embed_any_answer(port: int, path: str) -> None:
    headers = ask(port, "GET", path).headers
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec_Fetch_Site": "same-site"},  # another port of this machine
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "none"},
        {"Referer": "http://127.0.0.1:1/"},
        {"Referer": "https://other.example/127.0.0.1"},
    ],
)
def test_no_other_page_signs_anybody_out(port: int, headers: dict[str, str]) -> None:
    answer = ask(port, "GET", "/auth/logout", Host=f"127.0.0.1:{port}", **headers)
    assert answer.status == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("site", ["sec", "referrer"])
def test_the_page_s_own_button_signs_out(port: int, site: str) -> None:
    own = f"127.0.0.1:{port}"
    headers = {"Sec_Fetch_Site": "same-origin"} if site == "sec" else {"Referer": f"http://{own}/"}
    answer = ask(port, "GET", "/auth/logout", Host=own, **headers)
    assert answer.status == 302
    assert "_streamlit_user=" in answer.headers["set-cookie"]


def test_an_upload_of_a_session_that_was_not_let_in_is_refused(port: int) -> None:
    token = "2|12345678|1234567812345678|0"
    headers = {"Cookie": f"_streamlit_xsrf={token}", "X_Xsrftoken": token}
    assert status(port, "PUT", "/_stcore/upload_file/session/file", FILE, **headers) == 403


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("error=access_denied&error_description=<script>", "?sign-in=declined"),
        ("code=stale&state=forged", "?sign-in=refused"),
        ("", ""),  # back from the provider's own sign-out
    ],
)
def test_a_sign_in_that_came_to_nothing_leads_to_a_reason(port: int, query: str, why: str) -> None:
    answer = ask(port, "GET", f"/oauth2callback?{query}")
    assert (answer.status, answer.headers["location"]) == (302, f"/{why}")
