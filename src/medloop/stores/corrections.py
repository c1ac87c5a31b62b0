"""Images, corrections and reviews in S3, under the keys of docs/s3-layout.md.

`medloop.core.corrections.fold` says what they mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final, Literal

from medloop.core.corrections.events import EVENT_KEY, Correction, Review, event_key, image_key
from medloop.stores.objects import ObjectInfo, ObjectStore
from medloop.stores.signatures import Signatures

Folder = Literal["corrections", "reviews"]
MAX_IMAGE_BYTES: Final = 1 << 20  # of a PNG of 64 × 64 pixels, with much room


class CorrectionStore:
    """Append-only: nothing is overwritten; only an erasure deletes, the image, never an event."""

    def __init__(self, objects: ObjectStore, signatures: Signatures | None = None) -> None:
        self._objects = objects
        self._signatures = signatures
        self.no_events: dict[tuple[str, str | None], str] = {}  # why, by key and e-tag

    def put(self, correction: Correction, png: bytes | None, *, day: str) -> bool:
        """Store the image, then the event, so that its image is always there; True if it was new.

        The image of a patient who was erased is not stored again.

        Args:
            correction: The event.
            png: Its image, encoded by `medloop.core.imaging.decode.encode_png`; None where it was
                erased meanwhile.
            day: Day of storing, YYYY-MM-DD: a snapshot looks at the last days only.
        """
        if png is not None and not self.is_erased(correction.image_sha256):
            self._objects.ensure(image_key(correction.image_sha256), png)
        return self._objects.ensure(event_key(correction, day=day), correction.to_json())

    def put_review(self, review: Review, *, day: str | None = None) -> bool:
        """Sign and store a review under the day of storing, by default its own; True if new."""
        if self._signatures is not None:
            review = self._signatures.sign(review)
        return self._objects.ensure(event_key(review, day=day), review.to_json())

    def has(self, event: Correction | Review, *, day: str) -> bool:
        """Tell whether the event lies under that day."""
        return self._objects.head(event_key(event, day=day)) is not None

    def image(self, image_sha256: str) -> bytes:
        """Read the image as PNG, or raise `NotFoundError`."""
        return self._objects.get(image_key(image_sha256))

    def images(self, image_sha256s: Sequence[str]) -> list[bytes | None]:
        """Read many images at once, as PNG; None where one was erased."""
        keys = [image_key(sha256) for sha256 in image_sha256s]
        return self._objects.find_many(keys, at_most=MAX_IMAGE_BYTES)

    def erase_image(self, image_sha256: str) -> bool:
        """Delete the image and leave a mark against storing it again; True if it was there."""
        # The mark first: a sender may be at work meanwhile.
        self._objects.ensure(_erased_key(image_sha256), b"")
        there = self._objects.head(image_key(image_sha256)) is not None
        self._objects.delete(image_key(image_sha256))
        return there

    def is_erased(self, image_sha256: str) -> bool:
        """Tell whether `erase_image` was called for it."""
        return self._objects.head(_erased_key(image_sha256)) is not None

    def folders(self, folder: Folder) -> list[str]:
        """List the folders of days, and what else somebody put beside them."""
        return self._objects.folders(folder)

    def days(self, folder: Folder) -> list[str]:
        """List the days (YYYY-MM-DD) under which events lie."""
        return days_among(self.folders(folder))

    def list_day(self, folder: Folder, day: str) -> list[ObjectInfo]:
        """List all that lies under a day, events or not."""
        return list(self._objects.list(f"{folder}/dt={day}"))

    def keys(self, folder: Folder, day: str) -> list[str]:
        """List the keys of a day's events, and of nothing else that somebody put there."""
        listed = (info.key for info in self.list_day(folder, day))
        return [key for key in listed if EVENT_KEY.fullmatch(key)]

    def read(self, keys: Sequence[str]) -> list[bytes]:
        """Read events as they were stored, in the order of `keys`; empty where one is gone."""
        return [raw or b"" for raw in self._objects.find_many(keys)]


def event_id_of(key: str) -> str:
    """Read the event id in a key."""
    return key.rpartition("/")[2].removesuffix(".json")


def days_among(folders: Sequence[str]) -> list[str]:
    """Choose the folders that are days, `dt=YYYY-MM-DD`, and return those days."""
    names = (name.removeprefix("dt=") for name in folders if name.startswith("dt="))
    return [name for name in names if _is_day(name)]


def _is_day(text: str) -> bool:
    try:
        # after 1970, where the ids' time begins
        return date.fromisoformat(text).isoformat() == text and text > "1970"
    except ValueError:
        return False


def _erased_key(image_sha256: str) -> str:
    return image_key(image_sha256).removesuffix(".png") + ".erased"
