"""Snapshots in S3: manifests, and the shards that they share.

Shards are named by the hash of what they hold, so snapshots share them and two jobs at once write
the same. The pointer to the latest snapshot also remembers which days were seen: it is a shortcut,
and losing it costs time only.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from medloop.core.corrections.correction_policy import PolicyDecision, decide
from medloop.core.corrections.events import read_checked
from medloop.core.corrections.fold import Event, fold
from medloop.core.corrections.holdout import is_holdout
from medloop.core.corrections.snapshot import (
    Chunk,
    EventRecord,
    Manifest,
    SnapshotData,
    corrected_images,
    events_about,
)
from medloop.core.imaging.preprocess import SIZE
from medloop.errors import (
    AlreadyExistsError,
    NotFoundError,
    StaleError,
    StoreError,
    StoreUnavailableError,
)
from medloop.stores.corrections import Folder
from medloop.stores.objects import ObjectStore
from medloop.stores.snapshot_shards import pack_events, pack_images, unpack_events, unpack_images

LATEST: Final = "snapshots/latest.json"
SHARDS_AT_ONCE: Final = 8  # image shards in memory while one snapshot is read

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pointer:
    """Which snapshot is the latest, which days it has looked at, by folder, and when."""

    snapshot_id: str
    days: Mapping[str, tuple[str, ...]]
    day: str | None = None  # YYYY-MM-DD of that look; None if an older version wrote it


class SnapshotStore:
    """All snapshots of one bucket."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def latest(self) -> Manifest | None:
        """Read the newest snapshot; None before the first."""
        return self.look()[1]

    def look(self, *, lost_ok: bool = False) -> tuple[Pointer | None, Manifest | None]:
        """Read what `point_to` wrote last, and that snapshot; None twice if a loss is ok."""
        raw = self._objects.find(LATEST)
        if raw is None:
            return None, None
        try:
            pointer = _parse_pointer(raw)
            return pointer, self.manifest(pointer.snapshot_id)
        except StoreUnavailableError:
            raise
        except StoreError as error:
            if lost_ok:
                return None, None
            raise StoreError(f"{error}: `medloop snapshot --full` begins anew") from error

    def manifest(self, snapshot_id: str) -> Manifest:
        """Read the manifest, or raise `NotFoundError`."""
        try:
            return Manifest.from_json(self._objects.get(_manifest_key(snapshot_id)))
        except NotFoundError as error:
            raise NotFoundError(
                f"there is no snapshot {snapshot_id!r}: `medloop snapshot` takes one"
            ) from error

    def ids(self) -> list[str]:
        """List the ids of all complete snapshots, in no order."""
        names = [
            name for name in self._objects.folders("snapshots") if name not in ("events", "images")
        ]
        found = self._objects.find_many([_manifest_key(name) for name in names])
        return [name for name, raw in zip(names, found, strict=True) if raw is not None]

    def events(self, chunks: Sequence[Chunk]) -> list[list[EventRecord]]:
        """Read the events of each chunk."""
        keys = [_events_key(chunk.events) for chunk in chunks]
        with _repairable():
            return [
                unpack_events(data, key=key)
                for key, data in zip(keys, self._objects.get_many(keys), strict=True)
            ]

    def images(self, chunk: Chunk, *, lost_ok: bool = False) -> dict[str, np.ndarray]:
        """Read a chunk's images, uint8 [64, 64], without erased ones; {} if a loss is ok."""
        if chunk.images is None:
            return {}
        key = _images_key(chunk.images)
        try:
            with _repairable():
                return unpack_images(self._objects.get(key), key=key)
        except StoreUnavailableError:
            raise
        except StoreError:
            if lost_ok:
                return {}
            raise

    def has_images(self, chunk: Chunk) -> bool:
        """Tell whether the chunk's pixels are stored already."""
        return chunk.images is None or self._objects.head(_images_key(chunk.images)) is not None

    def write_events(
        self, chunk: Chunk, records: Sequence[EventRecord], *, anew: bool = False
    ) -> None:
        """Store a chunk's events, once, or `anew`: over what may be damaged."""
        self._write(_events_key(chunk.events), pack_events(records), anew=anew)

    def write_images(
        self, chunk: Chunk, pixels: Mapping[str, np.ndarray], *, anew: bool = False
    ) -> None:
        """Store a chunk's pixels, likewise."""
        if chunk.images is not None:
            self._write(_images_key(chunk.images), pack_images(pixels), anew=anew)

    def write(self, manifest: Manifest, *, anew: bool = False) -> bool:
        """Complete a snapshot whose shards are all stored, likewise; True if it is new."""
        return self._write(_manifest_key(manifest.snapshot_id), manifest.to_json(), anew=anew)

    def _write(self, key: str, data: bytes, *, anew: bool) -> bool:
        if not (is_new := self._objects.ensure(key, data)) and anew:
            self._objects.put(key, data)
        return is_new

    def point_to(
        self,
        manifest: Manifest,
        *,
        days: Mapping[Folder, Sequence[str]],
        day: str,
        anew: bool = False,
    ) -> None:
        """Make this the latest snapshot, unless somebody else's holds more events by now.

        `days` are those that it has looked at, by folder, on `day`. With `anew` it is whatever the
        latest one holds, which may be what is to be repaired.
        """
        seen = {folder: list(looked_at) for folder, looked_at in days.items()}
        raw = json.dumps({"snapshot_id": manifest.snapshot_id, "days": seen, "day": day}).encode()
        for _ in range(5):
            try:
                current, e_tag = self._objects.get_versioned(LATEST)
            except NotFoundError:
                try:
                    return self._objects.create(LATEST, raw)
                except AlreadyExistsError:
                    continue
            if not anew and self._holds_more(_parse_pointer(current), manifest):
                return None
            try:
                self._objects.replace(LATEST, raw, e_tag)
            except StaleError:
                continue
            return None
        raise StaleError(f"{LATEST} is changed by others all the time; try again later")

    def _holds_more(self, pointer: Pointer, manifest: Manifest) -> bool:
        other = self.manifest(pointer.snapshot_id)
        return other.corrections + other.reviews > manifest.corrections + manifest.reviews

    def load(self, snapshot_id: str) -> SnapshotData:
        """Fold the events, decide, and read the pixels of what is accepted."""
        manifest = self.manifest(snapshot_id)
        decisions = decide(fold(self.all_events(manifest)).values(), manifest.policy)
        accepted = [d.state.image_sha256 for d in decisions if d.verdict == "accepted"]
        images, there = self._read_pixels(manifest.chunks, accepted)
        decisions = [_only_with_image(decision, there) for decision in decisions]
        rows = [d.state for d in decisions if d.verdict == "accepted"]
        if len(rows) < len(accepted):
            images = images[[sha256 in there for sha256 in accepted]]
        return SnapshotData(
            snapshot_id=snapshot_id,
            base_id=manifest.base_id,
            images=images,
            labels=tuple(state.label for state in rows),
            image_sha256=tuple(state.image_sha256 for state in rows),
            who=tuple(" ".join(state.who) for state in rows),
            holdout=is_holdout(images),
            event_ids=tuple(" ".join(state.event_ids) for state in rows),
            decisions=tuple(decisions),
        )

    def all_events(self, manifest: Manifest) -> list[Event]:
        """Read every whole event of a snapshot, oldest first."""
        parsed = (record.parse() for records in self.events(manifest.chunks) for record in records)
        return [event for event in parsed if event is not None]

    def events_about(self, manifest: Manifest, image_sha256s: Collection[str]) -> list[Event]:
        """Read all shards of a snapshot, and parse what is about these images, oldest first."""
        found: list[Event] = []
        for start in range(0, len(manifest.chunks), SHARDS_AT_ONCE):
            for records in self.events(manifest.chunks[start : start + SHARDS_AT_ONCE]):
                found += events_about(records, image_sha256s)
        return found

    def event_ids(self, manifest: Manifest) -> set[str]:
        """Collect the ids of all events of a snapshot, without those in shards that were lost."""
        found = (self._events_if_whole(chunk) for chunk in manifest.chunks)
        return {record.id for records in found for record in records or ()}

    def erase_images(self, image_sha256s: Collection[str]) -> list[str]:
        """Take images' pixels out of every shard that holds them, in one pass; those shards' keys.

        Ids and manifests stay: they name events and image hashes, not pixels.
        """
        gone = set(image_sha256s)
        chunks = {
            chunk.images: chunk
            for raw in self._objects.find_many([_manifest_key(name) for name in self.ids()])
            for chunk in _chunks_if_whole(raw or b"")
            if chunk.images
        }
        purged = []
        for chunk in chunks.values():
            records = self._events_if_whole(chunk)
            named = gone if records is None else gone.intersection(corrected_images(records))
            if named and self._purge(chunk, named):
                purged.append(_images_key(str(chunk.images)))
        return sorted(purged)

    def _events_if_whole(self, chunk: Chunk) -> list[EventRecord] | None:
        try:
            return self.events([chunk])[0]
        except StoreUnavailableError:
            raise
        except StoreError as error:
            log.warning("%s", error)
            return None

    def _purge(self, chunk: Chunk, image_sha256s: Collection[str]) -> bool:
        pixels = self.images(chunk, lost_ok=True)
        kept = {sha256: image for sha256, image in pixels.items() if sha256 not in image_sha256s}
        if len(kept) == len(pixels):
            return False
        self._objects.put(_images_key(str(chunk.images)), pack_images(kept))
        return True

    def _read_pixels(
        self, chunks: Sequence[Chunk], wanted: Sequence[str]
    ) -> tuple[np.ndarray, set[str]]:
        """Read pixels uint8 [len(wanted), 64, 64], and the hashes of those that were there."""
        rows = {sha256: row for row, sha256 in enumerate(wanted)}
        images = np.zeros((len(wanted), SIZE, SIZE), dtype=np.uint8)
        there: set[str] = set()
        with ThreadPoolExecutor(SHARDS_AT_ONCE, thread_name_prefix="shards") as pool:
            for start in range(0, len(chunks), SHARDS_AT_ONCE):
                for found in pool.map(self.images, chunks[start : start + SHARDS_AT_ONCE]):
                    for sha256 in found.keys() & rows.keys():
                        images[rows[sha256]] = found[sha256]
                        there.add(sha256)
        return images, there


def _only_with_image(decision: PolicyDecision, there: Collection[str]) -> PolicyDecision:
    if decision.verdict != "accepted" or decision.state.image_sha256 in there:
        return decision
    return replace(
        decision,
        verdict="rejected",
        reasons=("its image is gone from the store: erased, or damaged",),
    )


def _parse_pointer(raw: bytes) -> Pointer:
    try:
        return read_checked(Pointer, raw)
    except StoreError as error:
        raise StoreError(f"{LATEST} is damaged ({error})") from error


def _chunks_if_whole(raw: bytes) -> tuple[Chunk, ...]:
    try:
        return Manifest.from_json(raw).chunks
    except StoreError as error:
        log.warning("%s", error)
        return ()


@contextmanager
def _repairable() -> Iterator[None]:
    """Say what helps against a shard that is damaged or gone."""
    try:
        yield
    except StoreUnavailableError:
        raise
    except StoreError as error:
        raise StoreError(f"{error}: `medloop snapshot --full` writes it again") from error


def _manifest_key(snapshot_id: str) -> str:
    return f"snapshots/{snapshot_id}/manifest.json"


def _events_key(digest: str) -> str:
    return f"snapshots/events/{digest}.parquet"


def _images_key(digest: str) -> str:
    return f"snapshots/images/{digest}.parquet"
