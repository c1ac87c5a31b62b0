"""Events, images and stores for the tests of corrections."""

from __future__ import annotations

import hashlib
import io
import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
from PIL import Image

from medloop.core.corrections.events import Correction, Review, event_id
from medloop.settings import Settings
from medloop.stores.objects import ObjectStore

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
_serial = itertools.count()


def image(seed: int, *, size: int = 64) -> np.ndarray:
    """A grey image [size, size] with large shapes, so that it has a look of its own."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (8, 8), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC))


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def sha256_of(seed: int) -> str:
    """A made-up image hash, where no pixels are needed."""
    return hashlib.sha256(str(seed).encode()).hexdigest()


def new_id(at: datetime = START) -> str:
    """A fresh event id; later calls give later ids for the same time or a later one."""
    serial = next(_serial)
    return event_id(
        now=at + timedelta(milliseconds=serial),
        random=hashlib.sha256(str(serial).encode()).digest()[:10],
    )


def correction(
    image_sha256: str,
    label: str | None = "Hand",
    *,
    who: str = "ada",
    at: datetime = START,
    **changes: object,
) -> Correction:
    fields: dict[str, object] = {
        "id": new_id(at),
        "at": at.isoformat(timespec="milliseconds"),
        "image_sha256": image_sha256,
        "given_label": label,
        "predicted_label": "CXR",
        "confidence": 0.9,
        "verdict": "confident",
        "model_version": "1",
        "who": who,
    }
    return Correction(**{**fields, **changes})  # type: ignore[arg-type]


def review(
    image_sha256: str,
    action: str,
    label: str | None = None,
    *,
    who: str = "rev",
    at: datetime = START,
    why: str = "",
) -> Review:
    return Review(
        id=new_id(at),
        at=at.isoformat(timespec="milliseconds"),
        image_sha256=image_sha256,
        action=action,  # type: ignore[arg-type]
        label=label,
        who=who,
        why=why,
    )


def objects_at(
    endpoint: str, *, access_key: str, secret_key: str, bucket: str = "medloop"
) -> ObjectStore:
    """The store at an address, with these keys."""
    settings = Settings(
        s3_endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        s3_bucket=bucket,
    )
    return ObjectStore.from_settings(settings)
