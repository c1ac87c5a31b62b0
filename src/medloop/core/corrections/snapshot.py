"""A snapshot: events, a base data set and a policy, under an id that is the hash of all three.

Events lie in chunks, in the order of their ids. A chunk ends after every id whose hash says so
(content-defined chunking), so that chunks depend on the set of events alone: however many snapshots
it took to get there, the same events make the same chunks, and new ones change only the chunks they
fall into.
"""

from __future__ import annotations

import hashlib
import json
import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np

from medloop.core.corrections.correction_policy import Policy, PolicyDecision
from medloop.core.corrections.events import (
    MAX_EVENT_BYTES,
    Correction,
    Review,
    event_time,
    read_checked,
)
from medloop.core.imaging.preprocess import PREPROCESSING_VERSION
from medloop.errors import StoreError

SCHEMA_VERSION: Final = 1
CHUNK_EVENTS: Final = 1024  # on average
NAMED: Final = re.compile(rb"[0-9a-f]{64}")  # what may be the hash of an image


@dataclass(frozen=True, slots=True, order=True)
class EventRecord:
    """An event as it was stored. Sorts by id."""

    id: str
    folder: str  # corrections or reviews
    raw: bytes

    def read(self) -> Correction | Review:
        """Read and check the event, or raise `StoreError`."""
        kind = Correction if self.folder == "corrections" else Review
        if len(self.raw) > MAX_EVENT_BYTES:
            raise StoreError(f"longer than {MAX_EVENT_BYTES} bytes")
        event = kind.from_json(self.raw)
        if event.id != self.id:
            raise StoreError("the event bears another id than its key")
        return event

    def parse(self) -> Correction | Review | None:
        """Read the event; None if an older version let something into a snapshot that is none."""
        try:
            return self.read()
        except StoreError:
            return None


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some consecutive events and their images, by the hashes under which they are stored."""

    first: str  # event ids
    last: str
    corrections: int
    reviews: int
    events: str  # hash of the events, byte by byte
    images: str | None  # hash of the list of image hashes; None where there is no correction


@dataclass(frozen=True, slots=True)
class Manifest:
    """The contents of a snapshot. If it is in the store, the snapshot is complete."""

    snapshot_id: str
    base_id: str  # the data set that the corrections go with
    policy: Policy
    preprocessing_version: str
    chunks: tuple[Chunk, ...]

    @classmethod
    def build(cls, *, base_id: str, policy: Policy, chunks: Sequence[Chunk]) -> Self:
        """Hash the content into the id."""
        content = {
            "schema": SCHEMA_VERSION,
            "base_id": base_id,
            "policy": _named_fields(policy),
            "preprocessing_version": PREPROCESSING_VERSION,
            "events": [chunk.events for chunk in chunks],
        }
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return cls(digest[:16], base_id, policy, PREPROCESSING_VERSION, tuple(chunks))

    @property
    def corrections(self) -> int:
        """Count correction events, whatever became of them."""
        return sum(chunk.corrections for chunk in self.chunks)

    @property
    def reviews(self) -> int:
        """Count review events."""
        return sum(chunk.reviews for chunk in self.chunks)

    @property
    def until(self) -> str | None:
        """Read the time of the last event, ISO 8601; None without events."""
        return (
            event_time(self.chunks[-1].last).isoformat(timespec="milliseconds")
            if self.chunks
            else None
        )

    def to_json(self) -> bytes:
        """Write it the same each time, for people too."""
        counts = {"corrections": self.corrections, "reviews": self.reviews, "until": self.until}
        return json.dumps({"schema": SCHEMA_VERSION, **counts, **asdict(self)}, indent=1).encode()

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """Read what `to_json` wrote, or raise `StoreError`."""
        return read_checked(cls, raw)


def _named_fields(policy: Policy) -> dict[str, Any]:
    """Leave out the fields that came later if they are off, so that older ids stay true."""
    later = ("share_allowance", "second_word")
    return {name: value for name, value in asdict(policy).items() if name not in later or value}


@dataclass(frozen=True, slots=True, eq=False)
class SnapshotData:
    """Training input: one row per accepted image, in the order of the image hashes."""

    snapshot_id: str
    base_id: str
    images: np.ndarray  # uint8 [M, 64, 64]
    labels: tuple[str | None, ...]  # None: none of the classes
    image_sha256: tuple[str, ...]
    who: tuple[str, ...]  # those who said so, separated by spaces
    holdout: np.ndarray  # bool [M]: never trained on
    event_ids: tuple[str, ...]  # the corrections behind a row, separated by spaces
    decisions: tuple[PolicyDecision, ...]  # of every image, with reasons

    @property
    def content_id(self) -> str:
        """Hash what can be learned from, without what is pending."""
        rows = zip(self.image_sha256, self.labels, strict=True)
        return hashlib.sha256(json.dumps([self.base_id, list(rows)]).encode()).hexdigest()[:16]

    def count(self, verdict: str) -> int:
        """Count images that are accepted, pending or rejected."""
        return sum(decision.verdict == verdict for decision in self.decisions)


def chunked(records: Iterable[EventRecord]) -> Iterator[list[EventRecord]]:
    """Divide sorted records into chunks."""
    chunk: list[EventRecord] = []
    for record in records:
        chunk.append(record)
        if ends_chunk(record.id):
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def ends_chunk(event_id: str) -> bool:
    """Tell whether a chunk ends after this event."""
    return int.from_bytes(hashlib.sha256(event_id.encode()).digest()[:4], "big") % CHUNK_EVENTS == 0


def describe(records: Sequence[EventRecord]) -> tuple[Chunk, tuple[str, ...]]:
    """Make a chunk's entry in the manifest; also its images' hashes, sorted."""
    digest = hashlib.sha256()
    for record in records:
        for part in (record.folder.encode(), record.id.encode(), record.raw):
            digest.update(len(part).to_bytes(8, "big") + part)
    images = corrected_images(records)
    corrections = sum(record.folder == "corrections" for record in records)
    chunk = Chunk(
        first=records[0].id,
        last=records[-1].id,
        corrections=corrections,
        reviews=len(records) - corrections,
        events=digest.hexdigest(),
        images=hashlib.sha256("\n".join(images).encode()).hexdigest() if images else None,
    )
    return chunk, images


def corrected_images(records: Iterable[EventRecord]) -> tuple[str, ...]:
    """List the images that the corrections among these are about, sorted, each once."""
    events = (record.parse() for record in records if record.folder == "corrections")
    return tuple(sorted({event.image_sha256 for event in events if event is not None}))


def events_about(
    records: Iterable[EventRecord], image_sha256s: Collection[str]
) -> list[Correction | Review]:
    """Choose the events about these images; only records that name one of them are parsed."""
    wanted = {sha256.encode() for sha256 in image_sha256s}
    parsed = (
        record.parse() for record in records if not wanted.isdisjoint(NAMED.findall(record.raw))
    )
    return [event for event in parsed if event is not None and event.image_sha256 in image_sha256s]


def touched(chunks: Sequence[Chunk], ids: Iterable[str]) -> dict[int, set[str]]:
    """Assign ids to the chunks they fall into, {index: ids}; ids behind all go to the last."""
    lasts = [chunk.last for chunk in chunks]
    found: dict[int, set[str]] = {}
    for event_id in ids:
        index = min(bisect_left(lasts, event_id), max(len(chunks) - 1, 0))
        found.setdefault(index, set()).add(event_id)
    return found


def merged(old: Sequence[EventRecord], new: Iterable[EventRecord]) -> list[EventRecord]:
    """Merge old and new records in order, each id once."""
    by_id: Mapping[str, EventRecord] = {record.id: record for record in (*new, *old)}
    return sorted(by_id.values())
