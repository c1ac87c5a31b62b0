"""A real SeaweedFS in a temporary folder, a loop on it, and stores filled with corrections."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tests.servers import MLflowServer, SeaweedFS

from medloop.core.corrections.events import Correction, event_id, event_key, image_key
from medloop.core.imaging.decode import DecodedImage, content_sha256, encode_png
from medloop.jobs.context import Context
from medloop.settings import Settings
from medloop.stores.objects import ObjectStore
from medloop.wiring import connect

LABELS = ("AbdomenCT", "BreastMRI", "CXR", "ChestCT", "Hand", "HeadCT")
_serial = itertools.count()


@contextmanager
def store() -> Iterator[SeaweedFS]:
    """A server that is gone, with its data, when the block ends."""
    with tempfile.TemporaryDirectory(prefix="medloop-bench-") as folder:
        server = SeaweedFS(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()


def new_bucket(server: SeaweedFS) -> str:
    """An empty bucket."""
    name = f"bench-{os.urandom(4).hex()}"
    server.client().create_bucket(Bucket=name)
    return name


def loop_on(
    server: SeaweedFS,
    home: Path,
    *,
    bucket: str | None = None,
    mlflow: MLflowServer | None = None,
    **more: Any,
) -> Context:
    """The loop as it is wired in earnest, on this bucket or a new one; `more` are settings."""
    if mlflow:
        more |= {
            "mlflow_tracking_uri": mlflow.uri,
            "mlflow_tracking_username": mlflow.username,
            "mlflow_tracking_password": mlflow.password,
        }
    own = {"identity": "plain", "review": "suspicious", "max_per_person": 10**9}
    settings = Settings(
        s3_endpoint_url=server.endpoint,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        s3_bucket=bucket or new_bucket(server),
        home=home,
        **{**own, **more},
    )
    return connect(settings)


def picture(number: int) -> DecodedImage:
    """A picture [64, 64] that no other number gives, with large shapes as a scan has."""
    rng = np.random.default_rng(number)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 12), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((64, 64), Image.Resampling.BICUBIC))
    return DecodedImage(pixels=pixels, sha256=content_sha256(pixels), kind="PNG")


def label_of(number: int) -> str:
    """Give the label that everybody gives picture `number`."""
    return LABELS[number % len(LABELS)]


def event_for(
    shown: DecodedImage, at: datetime, *, who: str = "ada", label: str | None = "Hand"
) -> Correction:
    """A correction of this picture."""
    serial = next(_serial)
    return Correction(
        id=event_id(now=at, random=serial.to_bytes(10, "big")),
        at=at.isoformat(timespec="milliseconds"),
        image_sha256=shown.sha256,
        given_label=label,
        predicted_label="CXR",
        confidence=0.9,
        verdict="confident",
        model_version="1",
        who=who,
    )


def fill(
    objects: ObjectStore, *, count: int, first: int, days: int, until: datetime | None = None
) -> None:
    """Put corrections straight into the bucket, spread over so many days before `until`."""
    until = until or datetime.now(UTC)
    for start in range(first, first + count, 2000):
        items: list[tuple[str, bytes]] = []
        for number in range(start, min(start + 2000, first + count)):
            shown = picture(number)
            at = until - timedelta(days=days * (1 - (number - first) / count))
            event = event_for(shown, at, who=f"user {number % 50}", label=label_of(number))
            items += [
                (image_key(shown.sha256), encode_png(shown.pixels)),
                (event_key(event), event.to_json()),
            ]
        objects.ensure_many(items)
