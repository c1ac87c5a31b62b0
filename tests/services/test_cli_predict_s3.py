"""`medloop predict s3://…` and `medloop correct` against the real SeaweedFS."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.hostile.corpus import honest
from tests.models import model
from tests.servers import MLflowServer, SeaweedFS, Server
from tests.small_sets import encoded, unpacked
from tests.stack import MEDLOOP
from typer.testing import CliRunner

from medloop.cli import build_app
from medloop.core.corrections.events import image_key
from medloop.core.imaging.decode import decode
from medloop.stack.process_guard import descendants
from medloop.stores.model_cache import CachedModel, ModelCache

pytestmark = pytest.mark.services


@pytest.fixture
def home(seaweedfs: SeaweedFS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in seaweedfs.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MEDLOOP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MEDLOOP_IDENTITY", "plain")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    ModelCache(tmp_path / "home/models").write(CachedModel("7", model()))
    return tmp_path


def run(*arguments: str) -> str:
    result = CliRunner().invoke(build_app(), list(arguments))
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def test_objects_under_a_prefix_are_predicted(seaweedfs: SeaweedFS, home: Path) -> None:
    client = seaweedfs.client()
    for kind, data in honest().items():
        client.put_object(Bucket=seaweedfs.bucket, Key=f"predict-test/{kind}", Body=data)
    lines = [
        json.loads(x)
        for x in run(
            "predict", f"s3://{seaweedfs.bucket}/predict-test/", "--format", "jsonl"
        ).splitlines()
    ]
    assert [line["path"].rpartition("/")[2] for line in lines] == sorted(honest())
    assert {line["status"] for line in lines} == {"ok"}


def test_stored_is_said_when_it_is(seaweedfs: SeaweedFS, home: Path) -> None:
    (home / "1.png").write_bytes(honest()["PNG"])
    assert run("correct", str(home / "1.png"), "--label", "Hand") == "stored\n"
    stored = seaweedfs.client().get_object(
        Bucket=seaweedfs.bucket, Key=image_key(decode(honest()["PNG"]).sha256)
    )
    assert decode(stored["Body"].read()).sha256 == decode(honest()["PNG"]).sha256


def test_stored_is_not_said_while_s3_is_away(
    seaweedfs: SeaweedFS, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medloop.cli.correct.PATIENCE_S", 1.0)
    (home / "2.jpg").write_bytes(honest()["JPEG"])
    seaweedfs.stop()
    try:
        assert (
            run("correct", str(home / "2.jpg"), "--label", "CXR") == "saved here, will be stored\n"
        )
    finally:
        seaweedfs.start()
    monkeypatch.setattr("medloop.cli.correct.PATIENCE_S", 30.0)
    (home / "3.bmp").write_bytes(honest()["BMP"])
    assert run("correct", str(home / "3.bmp"), "--label", "CXR") == "stored\n"


@contextmanager
def frozen(*servers: Server) -> Iterator[None]:
    """Servers that take connections and never answer."""
    pids = descendants([server.process.pid for server in servers if server.process])
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_a_correction_is_acknowledged_while_both_servers_hang(
    seaweedfs: SeaweedFS, mlflow_server: MLflowServer, home: Path
) -> None:
    (home / "4.png").write_bytes(honest()["PNG"])
    environment = {**os.environ, **mlflow_server.environment}
    command = [MEDLOOP, "correct", str(home / "4.png"), "--label", "HeadCT"]
    with frozen(seaweedfs, mlflow_server):
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        assert process.stderr.readline() == "Saved on this machine.\n"
        said, _ = process.communicate(timeout=60)  # the command does not wait for the store to wake
    assert (said, process.returncode) == ("saved here, will be stored\n", 0)
    sent = subprocess.run([MEDLOOP, "outbox", "--flush"], env=environment, check=True)
    assert sent.returncode == 0


def test_a_table_of_corrections_is_stored(seaweedfs: SeaweedFS, home: Path) -> None:
    names = [f"{i:03}.png" for i in range(200)]
    unpacked(home / "in", {name: encoded(i, size=(256, 256)) for i, name in enumerate(names)})
    rows = [f"{home}/in/{name},{('Hand', 'none')[i % 2]}" for i, name in enumerate(names)]
    (home / "labels.csv").write_text("\n".join(["path,label", *rows]))
    done = json.loads(run("correct", "--from", str(home / "labels.csv"), "--json"))
    assert (done["saved"], done["stored"], done["failed"]) == (200, 200, [])
