"""The servers that other tests rely on are what they say."""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from tests.servers import MLflowServer, SeaweedFS, answers, wait_until

from medloop.jobs.doctor import Finding
from medloop.settings import Settings
from medloop.stack.exposure import look_at_rights

pytestmark = pytest.mark.services


def test_s3_refuses_a_second_conditional_write(seaweedfs: SeaweedFS) -> None:
    client = seaweedfs.client()
    client.put_object(Bucket=seaweedfs.bucket, Key="once", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError, match=r"412|PreconditionFailed"):
        client.put_object(Bucket=seaweedfs.bucket, Key="once", Body=b"2", IfNoneMatch="*")


def test_s3_keeps_objects_over_a_pulled_plug(seaweedfs: SeaweedFS) -> None:
    seaweedfs.client().put_object(Bucket=seaweedfs.bucket, Key="kept", Body=b"still here")
    seaweedfs.kill()
    seaweedfs.start()

    def found() -> bytes | None:
        try:
            return seaweedfs.client().get_object(Bucket=seaweedfs.bucket, Key="kept")["Body"].read()
        except ClientError as error:  # it lists its buckets before it has found its volumes
            if error.response["Error"]["Code"] != "InternalError":
                raise
            return None

    wait_until(lambda: found() is not None, what="S3 should have its volumes again")
    assert found() == b"still here"


def _get(server: SeaweedFS, key: str) -> bytes:
    return server.client().get_object(Bucket=server.bucket, Key=key)["Body"].read()


def test_a_closed_store_goes_on_with_the_folder_of_an_open_one(tmp_path: Path) -> None:
    """Before it asked for a certificate, SeaweedFS wrote the same files."""
    server = SeaweedFS(tmp_path)
    closed, master = server.program, f"http://127.0.0.1:{server.ports['master']}/dir/status"
    server.program = replace(closed, environment=_without_certificate(closed.environment))
    bodies = {f"old/{size}": secrets.token_bytes(size) for size in (1, 1_000, 9_000_000)}
    server.start()
    assert answers(master)
    open_ports = _rights(server)
    assert open_ports.outcome == "failed"
    for name in ("master", "master_grpc", "volume", "filer_grpc"):
        assert f"port {server.ports[name]} ({name}) answers anybody" in open_ports.says
    for key, body in bodies.items():
        server.client().put_object(Bucket=server.bucket, Key=key, Body=body)
    server.stop()
    server.program = closed
    try:
        server.start()
        assert not answers(master)
        assert _rights(server).outcome == "ok"
        assert {key: _get(server, key) for key in bodies} == bodies
        with pytest.raises(ClientError, match=r"412|PreconditionFailed"):
            server.client().put_object(Bucket=server.bucket, Key="old/1", Body=b"", IfNoneMatch="*")
        server.client().put_object(Bucket=server.bucket, Key="new", Body=b"new", IfNoneMatch="*")
        assert _get(server, "new") == b"new"
    finally:
        server.stop()


def _rights(server: SeaweedFS) -> Finding:
    (server.folder / "stack.json").write_text(json.dumps({"ports": server.ports}))
    return look_at_rights(Settings(home=server.folder))


def _without_certificate(environment: Mapping[str, str]) -> dict[str, str]:
    tls = ("WEED_GRPC_", "WEED_HTTPS_")
    return {name: value for name, value in environment.items() if not name.startswith(tls)}


def test_mlflow_wants_a_password(mlflow_server: MLflowServer) -> None:
    url = f"{mlflow_server.uri}/api/2.0/mlflow/experiments/search?max_results=1"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(url)
    token = b64encode(f"{mlflow_server.username}:{mlflow_server.password}".encode()).decode()
    request = urllib.request.Request(url, headers={"Authorization": f"Basic {token}"})
    assert urllib.request.urlopen(request).status == 200
