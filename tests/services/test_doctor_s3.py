"""`medloop doctor` on a real store: what was said and is gone turns it red."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.corrections_world import World
from tests.servers import SeaweedFS

from medloop.jobs.doctor import Finding, examine
from medloop.settings import Settings
from medloop.stores.objects import ObjectStore

pytestmark = pytest.mark.services


def found(settings: Settings, name: str) -> Finding:
    return next(finding for finding in examine(lambda: settings) if finding.name == name)


def test_a_wiped_bucket_is_not_a_healthy_one(tmp_path: Path, seaweedfs: SeaweedFS) -> None:
    bucket = "to-be-wiped"
    seaweedfs.client().create_bucket(Bucket=bucket)
    settings = Settings(
        home=tmp_path,
        s3_bucket=bucket,
        s3_endpoint_url=seaweedfs.endpoint,
        aws_access_key_id=seaweedfs.access_key,
        aws_secret_access_key=seaweedfs.secret_key,
    )
    world = World(ObjectStore.from_settings(settings), tmp_path)
    for seed in range(4):
        world.correct(seed)
    whole = found(settings, "corrections")
    assert (whole.outcome, whole.says) == (
        "ok",
        "4 corrections and 0 reviews; 4 read, with their images",
    )
    for item in seaweedfs.client().list_objects_v2(Bucket=bucket)["Contents"]:
        seaweedfs.client().delete_object(Bucket=bucket, Key=item["Key"])
    assert found(settings, "S3").outcome == "ok"
    wiped = found(settings, "corrections")
    assert wiped.outcome == "failed"
    assert wiped.says.startswith("4 events that this machine stored are gone")
    assert "backup" in wiped.fix
