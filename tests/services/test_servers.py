"""The servers that other tests rely on are what they say."""

from __future__ import annotations

import urllib.error
import urllib.request
from base64 import b64encode

import pytest
from botocore.exceptions import ClientError
from tests.servers import MLflowServer, SeaweedFS, wait_until

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


def test_mlflow_wants_a_password(mlflow_server: MLflowServer) -> None:
    url = f"{mlflow_server.uri}/api/2.0/mlflow/experiments/search?max_results=1"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(url)
    token = b64encode(f"{mlflow_server.username}:{mlflow_server.password}".encode()).decode()
    request = urllib.request.Request(url, headers={"Authorization": f"Basic {token}"})
    assert urllib.request.urlopen(request).status == 200
