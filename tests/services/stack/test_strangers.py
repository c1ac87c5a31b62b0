"""Somebody else on this machine, and a foreign page in a browser here, at every port of the
stack.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import httpx
import pytest
from playwright.sync_api import sync_playwright
from tests.chromium import FLAGS, chromium_path
from tests.servers import clean_environment
from tests.stack import LocalStack
from tests.stranger import (
    HTTP2,
    NOBODY,
    PATHS,
    as_somebody_else,
    http_answers,
    opens,
    speaks_grpc,
    tls_answer,
)

from medloop.stack.programs import executable

pytestmark = [pytest.mark.services, pytest.mark.timeout(420)]
FOREIGN = "foreign.example"  # Chromium is told that it is this machine
KEPT = b"only the owner's"
# What servers show to everybody: the empty shells of pages, nothing of what is kept.
SHELLS = re.compile(
    r'\s*<!|\{"detail":|# TYPE session_events|\{"status":"OK"\}|OK$|$', re.IGNORECASE
)


@pytest.fixture(scope="module", autouse=True)
def _picture(stack: LocalStack) -> None:
    _s3(stack).put_object(Bucket="medloop", Key="kept/picture.png", Body=KEPT)


def _s3(stack: LocalStack) -> Any:
    operator = stack.operator()
    return boto3.client(
        "s3",
        endpoint_url=operator["AWS_ENDPOINT_URL_S3"],
        region_name="us-east-1",
        aws_access_key_id=operator["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=operator["AWS_SECRET_ACCESS_KEY"],
    )


def _kept(stack: LocalStack) -> dict[str, Any]:
    """Everything that a stranger might have changed."""
    client, operator = _s3(stack), stack.operator()
    found: dict[str, Any] = {
        bucket: [
            (entry["Key"], entry["ETag"])
            for entry in client.list_objects_v2(Bucket=bucket).get("Contents", [])
            if not entry["Key"].startswith("snapshots/")  # the first weekly run takes one
        ]
        for bucket in ("medloop", "mlflow")
    }
    found["buckets"] = [entry["Name"] for entry in client.list_buckets()["Buckets"]]
    found["picture"] = client.get_object(Bucket="medloop", Key="kept/picture.png")["Body"].read()
    user = (operator["MLFLOW_TRACKING_USERNAME"], operator["MLFLOW_TRACKING_PASSWORD"])
    url = f"{operator['MLFLOW_TRACKING_URI']}/api/2.0/mlflow"
    for path in ("experiments/search?max_results=50", "registered-models/search"):
        found[path] = httpx.get(f"{url}/{path}", auth=user, timeout=60).raise_for_status().json()
    return found


@pytest.fixture
def unchanged(stack: LocalStack) -> Iterator[None]:
    before = _kept(stack)
    assert before["picture"] == KEPT
    yield
    assert _kept(stack) == before


def _ports(stack: LocalStack) -> list[int]:
    ports = sorted({port for _, port in stack.listening()})
    assert len(ports) >= 13  # the page, MLflow, Airflow, and the many of SeaweedFS
    return ports


def test_no_port_tells_another_user_anything_by_http(stack: LocalStack, unchanged: None) -> None:
    told = {}
    for port in _ports(stack):
        for request, status, body in as_somebody_else(lambda port=port: list(http_answers(port))):
            assert KEPT.decode() not in body, (port, request)
            if status < 400 and not SHELLS.match(body):
                told[port, request] = status, body[:200]
    assert told == {}


@pytest.mark.parametrize("request_", [HTTP2, b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_no_port_answers_tls_without_the_certificate(stack: LocalStack, request_: bytes) -> None:
    answers = {
        port: as_somebody_else(lambda port=port: tls_answer(port, request=request_).hex())
        for port in _ports(stack)
    }
    assert {port: answer for port, answer in answers.items() if answer} == {}


def test_no_port_speaks_grpc_in_the_clear(stack: LocalStack) -> None:
    assert [port for port in _ports(stack) if as_somebody_else(partial(speaks_grpc, port))] == []


def test_no_unix_socket_takes_another_user(stack: LocalStack) -> None:
    sockets = stack.sockets()
    assert len(sockets) >= 8
    for path in sockets:
        place = path if path.exists() else path.with_suffix("")  # supervisord renames its own
        assert stat.S_IMODE(place.stat().st_mode) & 0o077 == 0, place
        if os.geteuid() == 0:
            assert not as_somebody_else(partial(opens, str(place))), place


@pytest.fixture
def weed() -> Iterator[Path]:
    """SeaweedFS' program at a place where every user may run it."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield Path(shutil.copy(executable("weed"), folder))
    shutil.rmtree(folder)


SHELL_COMMANDS = (
    "lock\nfs.ls /buckets\ncollection.list\ncollection.delete -collection medloop -apply\n"
)


def _weed_shell(stack: LocalStack, weed: Path, **how: Any) -> str:
    """What SeaweedFS' own shell shows within ten seconds; it tries for ever where it is refused."""
    options = dict(re.findall(r"-(\S+)=(\S+)", stack.processes()[stack.pid_of("weed mini")]))
    where = [
        f"-{name}=127.0.0.1:{options[f'{name}.port']}.{options[f'{name}.port.grpc']}"
        for name in ("master", "filer")
    ]
    command = ["timeout", "10", str(weed), "shell", *where]
    done = subprocess.run(command, text=True, capture_output=True, check=False, cwd="/", **how)
    return done.stdout + done.stderr


def test_weed_shell_is_refused_without_the_certificate(
    stack: LocalStack, weed: Path, unchanged: None
) -> None:
    nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    shown = _weed_shell(stack, weed, env={"HOME": "/"}, input=SHELL_COMMANDS, **nobody)
    assert "medloop" not in shown
    own = {
        **clean_environment(),
        **json.loads((stack.home / "config" / "seaweedfs.env.json").read_text()),
    }
    assert "medloop" in _weed_shell(stack, weed, env=own, input="fs.ls /buckets\n")


class _ForeignPage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>somebody else's page</title>")

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def foreign_page() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _ForeignPage)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{FOREIGN}:{server.server_port}/"
    server.shutdown()
    server.server_close()


SOCKETS = """async ports => {
  const opened = [];
  const socket = url => new Promise(done => {
    const it = new WebSocket(url, ["streamlit"]);
    it.onopen = () => { opened.push(url); done(); };
    it.onerror = it.onclose = done;
    setTimeout(done, 5000);
  });
  await Promise.all(ports.map(port => socket(`ws://127.0.0.1:${port}/_stcore/stream`)));
  return opened;
}"""
ATTACK = """async ([ports, paths]) => {
  const told = [], within = () => AbortSignal.timeout(5000);
  const image = url => new Promise(done => {
    const element = new Image();
    element.onload = () => { told.push(["img", url]); done(); };
    element.onerror = done;
    setTimeout(done, 5000);
    element.src = url;
  });
  const socket = url => new Promise(done => {
    const it = new WebSocket(url, ["streamlit"]);
    it.onopen = () => { told.push(["websocket", url]); done(); };
    it.onerror = it.onclose = done;
    setTimeout(done, 5000);
  });
  const one = async url => {
    for (const method of ["GET", "PUT", "POST", "DELETE"])
      try {
        const answer = await fetch(url, {method, signal: within(), credentials: "include"});
        if (answer.ok) told.push([method, url, (await answer.text()).slice(0, 200)]);
      } catch {}
    try {
      await fetch(url, {method: "POST", mode: "no-cors", body: "x", signal: within()});
    } catch {}
    await image(url);
  };
  for (const port of ports) {
    for (const path of paths) await one(`http://127.0.0.1:${port}${path}`);
    await socket(`ws://127.0.0.1:${port}/_stcore/stream`);
  }
  return told;
}"""


@pytest.mark.browser
def test_a_foreign_page_in_a_browser_here_gets_and_changes_nothing(
    stack: LocalStack, foreign_page: str, unchanged: None
) -> None:
    with sync_playwright() as playwright:
        flags = [*FLAGS, f"--host-resolver-rules=MAP {FOREIGN} 127.0.0.1"]
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=flags)
        page = browser.new_page()
        page.goto(foreign_page)
        told = page.evaluate(ATTACK, [_ports(stack), list(PATHS)])
        browser.close()
    assert [what for what in told if not _is_harmless(what)] == []


@pytest.mark.browser
def test_a_page_of_another_port_of_this_machine_opens_no_websocket(
    stack: LocalStack, foreign_page: str
) -> None:
    """Without a login it would be the local user; cookies know no ports, either."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        page = browser.new_page()
        page.goto(foreign_page.replace(FOREIGN, "127.0.0.1"))
        opened = page.evaluate(SOCKETS, _ports(stack))
        page.goto(stack.address("page"))
        own = page.evaluate(SOCKETS, [urlsplit(page.url).port])
        browser.close()
    assert opened == []
    assert len(own) == 1


def _is_harmless(what: list[str]) -> bool:
    return len(what) == 3 and bool(SHELLS.match(what[2]))
