"""Folds what came in since the last snapshot into a new one, at the cost of what is new."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from medloop.core.acceptance import Policy
from medloop.core.decode import decode
from medloop.core.events import Review
from medloop.core.preprocess import preprocess
from medloop.core.snapshot import Chunk, Manifest, Record, chunked, describe, merged, touched
from medloop.errors import DecodeError
from medloop.jobs.loop import Loop
from medloop.stores.corrections import CorrectionStore, Folder, event_id_of
from medloop.stores.snapshots import Pointer, SnapshotStore

if TYPE_CHECKING:
    from medloop.settings import Settings

FOLDERS: Final[tuple[Folder, ...]] = ("corrections", "reviews")
LOOK_BACK_DAYS: Final = 2  # for clocks that differ, and for what was on its way at midnight
READERS: Final = 32  # images read and decoded at once

log = logging.getLogger(__name__)
Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class SnapshotResult:
    """What a snapshot holds. `new_corrections` counts from the previous snapshot, or from the one named."""

    snapshot_id: str
    new_corrections: int
    corrections: int
    reason: str


@dataclass(slots=True)
class Gathered:
    """What lies in the store beyond the previous snapshot."""

    previous: Manifest | None
    days: Mapping[Folder, Sequence[str]]  # all days with events, by folder
    regions: dict[int, list[Record]]  # the previous snapshot's chunks that new events fall into, with their events
    new: list[Record] = field(default_factory=list)


def snapshot(
    loop: Loop, *, since: str | None = None, full: bool = False, progress: Progress | None = None
) -> SnapshotResult:
    """Take a snapshot. Safe to run twice, and at once: the same events give the same snapshot.

    Args:
        loop: The stores.
        since: The snapshot that `new_corrections` is counted from; by default the previous one.
        full: List all days and read all events anew, instead of the last days.
        progress: Is told a share of the work, 0 to 1, and what is being done.
    """
    tell = progress or _silence
    tell(0.0, "looking for new events")
    known = loop.snapshots.manifest(since) if since else loop.snapshots.latest()
    gathered = gather(loop.corrections, loop.snapshots, full=full)
    _erase_again(loop, gathered.new)
    chunks = _compact(loop, gathered, tell)
    policy = policy_of(loop.settings)
    manifest = Manifest.build(base_id=_base_id(loop), policy=policy, chunks=chunks)
    is_new = loop.snapshots.write(manifest)
    loop.snapshots.point_to(manifest, days=gathered.days)
    tell(1.0, f"snapshot {manifest.snapshot_id}")
    before = known.corrections if known else 0
    result = SnapshotResult(
        snapshot_id=manifest.snapshot_id,
        new_corrections=manifest.corrections - before,
        corrections=manifest.corrections,
        reason=_reason(manifest, known),
    )
    if is_new:
        log.info("snapshot %s: %s", result.snapshot_id, result.reason)
    return result


def policy_of(settings: Settings) -> Policy:
    """What waits for a reviewer, as set."""
    return Policy(
        review=settings.review, max_per_person=settings.max_per_person, max_share=settings.max_share_per_person
    )


def gather(corrections: CorrectionStore, snapshots: SnapshotStore, *, full: bool = False) -> Gathered:
    """List the last days, and read the events there that the latest snapshot lacks."""
    pointer = None if full else snapshots.pointer()
    previous = snapshots.manifest(pointer.snapshot_id) if pointer else None
    days: dict[Folder, list[str]] = {folder: corrections.days(folder) for folder in FOLDERS}
    keys = _list_keys(corrections, days, pointer)
    chunks = previous.chunks if previous else ()
    fallen = touched(chunks, keys)
    regions = _read_regions(snapshots, chunks, fallen)
    known = {record.id for records in regions.values() for record in records}
    new_ids = sorted(keys.keys() - known)
    raw = corrections.read([keys[event_id] for event_id in new_ids])
    new = [
        Record(event_id, keys[event_id].partition("/")[0], data) for event_id, data in zip(new_ids, raw, strict=True)
    ]
    return Gathered(previous=previous, days=days, regions=regions, new=new)


def _list_keys(
    corrections: CorrectionStore, days: Mapping[Folder, Sequence[str]], pointer: Pointer | None
) -> dict[str, str]:
    """Keys by event id, of all days that the pointer does not vouch for."""
    found: dict[str, str] = {}
    for folder in FOLDERS:
        seen = pointer.days.get(folder, ()) if pointer else ()
        recent = (date.fromisoformat(max(seen)) - timedelta(days=LOOK_BACK_DAYS)).isoformat() if seen else ""
        for day in days[folder]:
            if day not in seen or day >= recent:
                found.update((event_id_of(key), key) for key in corrections.keys(folder, day))
    return found


def _read_regions(
    snapshots: SnapshotStore, chunks: Sequence[Chunk], fallen: Mapping[int, set[str]]
) -> dict[int, list[Record]]:
    indices = sorted(fallen) if chunks else []
    return dict(zip(indices, snapshots.events([chunks[index] for index in indices]), strict=True))


def _erase_again(loop: Loop, new: Iterable[Record]) -> None:
    """Repeat new erasures: a correction or a snapshot that was under way meanwhile may have brought pixels back."""
    for event in (record.parse() for record in new if record.folder == "reviews"):
        if isinstance(event, Review) and event.action == "erase":
            loop.corrections.erase_image(event.image_sha256)
            loop.snapshots.erase_image(event.image_sha256)


def _compact(loop: Loop, gathered: Gathered, tell: Progress) -> list[Chunk]:
    """Write the chunks that changed; all chunks of the new snapshot, in order."""
    old = list(gathered.previous.chunks) if gathered.previous else []
    by_id = {record.id: record for record in gathered.new}
    chunks: list[Chunk] = []
    done = 0
    fallen = touched(old, by_id)
    for index in range(max(len(old), 1)):
        if index not in fallen:
            chunks += old[index : index + 1]
            continue
        new = [by_id[event_id] for event_id in fallen[index]]
        pixels = loop.snapshots.images(old[index]) if old else {}
        for records in chunked(merged(gathered.regions.get(index, []), new)):
            tell(0.1 + 0.9 * done / len(by_id), f"{done} of {len(by_id)} new events compacted")
            chunks.append(_write_chunk(loop, records, pixels))
            done = min(done + len(records), len(by_id))
    return chunks


def _write_chunk(loop: Loop, records: Sequence[Record], known: Mapping[str, np.ndarray]) -> Chunk:
    chunk, images = describe(records)
    loop.snapshots.write_events(chunk, records)
    if not loop.snapshots.has_images(chunk):
        missing = [sha256 for sha256 in images if sha256 not in known]
        read = read_pixels(loop.corrections, missing)
        kept = {sha256: known[sha256] for sha256 in images if sha256 in known}
        loop.snapshots.write_images(chunk, {**kept, **read})
    return chunk


def read_pixels(corrections: CorrectionStore, image_sha256s: Sequence[str]) -> dict[str, np.ndarray]:
    """Stored images as uint8 [64, 64], by hash, without those that are gone or damaged."""
    with ThreadPoolExecutor(READERS, thread_name_prefix="images") as pool:
        read = pool.map(lambda sha256: _pixels(corrections, sha256), image_sha256s)
        found = dict(zip(image_sha256s, read, strict=True))
    return {sha256: pixels for sha256, pixels in found.items() if pixels is not None}


def _pixels(corrections: CorrectionStore, image_sha256: str) -> np.ndarray | None:
    """The stored image as uint8 [64, 64]; None if it was erased, or is not the image that its name says."""
    (png,) = corrections.images([image_sha256])
    if png is None:
        log.info("image %s is not in the store: its corrections are left out", image_sha256)
        return None
    try:
        image = decode(png)
    except DecodeError as error:
        log.warning("image %s cannot be read and is left out: %s", image_sha256, error)
        return None
    if image.sha256 != image_sha256:
        log.warning("image %s was changed in the store and is left out", image_sha256)
        return None
    return preprocess(image.pixels)


def _base_id(loop: Loop) -> str:
    return loop.settings.base_dataset or loop.datasets.get(None).id


def _reason(manifest: Manifest, known: Manifest | None) -> str:
    if known is None:
        return f"first snapshot, with {manifest.corrections} corrections"
    if known.snapshot_id == manifest.snapshot_id:
        return f"nothing new since {manifest.until or 'the beginning'}"
    new = manifest.corrections - known.corrections
    reviews = manifest.reviews - known.reviews
    if new or reviews:
        return f"{new} new corrections and {reviews} new reviews since snapshot {known.snapshot_id}"
    return f"the same events as snapshot {known.snapshot_id}, with another base data set or review policy"


def _silence(_share: float, _what: str) -> None:
    """Nobody listens."""
