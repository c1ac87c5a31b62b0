"""Folds what came in since the last snapshot into a new one, at the cost of what is new."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from medloop.core.corrections.correction_policy import Policy
from medloop.core.corrections.events import Review
from medloop.core.corrections.snapshot import (
    Chunk,
    EventRecord,
    Manifest,
    chunked,
    describe,
    merged,
    touched,
)
from medloop.core.imaging.decode import decode
from medloop.core.imaging.preprocess import preprocess
from medloop.errors import DecodeError
from medloop.jobs.context import Context
from medloop.progress import Progress, silent
from medloop.stores.corrections import CorrectionStore, Folder, event_id_of
from medloop.stores.snapshots import Pointer, SnapshotStore

if TYPE_CHECKING:
    from medloop.settings import Settings

FOLDERS: Final[tuple[Folder, ...]] = ("corrections", "reviews")
LOOK_BACK_DAYS: Final = 2  # for clocks that differ, and for what was on its way at midnight
READERS: Final = 32  # images read and decoded at once

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SnapshotResult:
    """What a snapshot holds. `new_corrections` counts from the previous snapshot, or from the one named."""

    snapshot_id: str
    new_corrections: int
    corrections: int
    reason: str


@dataclass(slots=True)
class Gathered:
    """What lies in the store beyond a snapshot."""

    latest: Manifest | None
    previous: Manifest | None  # the latest snapshot, to go on from; None to begin anew
    day: str  # of looking, YYYY-MM-DD
    days: Mapping[Folder, Sequence[str]]  # all days with events, by folder
    regions: dict[int, list[EventRecord]] = field(
        default_factory=dict
    )  # the chunks of `previous` that new events fall into
    new: list[EventRecord] = field(default_factory=list)

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """The chunks to go on from."""
        return self.previous.chunks if self.previous else ()

    def known(self) -> set[str]:
        """Ids of all events that were read."""
        return {record.id for records in (self.new, *self.regions.values()) for record in records}


def snapshot(
    context: Context,
    *,
    since: str | None = None,
    full: bool = False,
    gathered: Gathered | None = None,
    progress: Progress = silent,
) -> SnapshotResult:
    """Take a snapshot. Safe to run twice, and at once: the same events give the same snapshot.

    Args:
        context: The stores.
        since: The snapshot that `new_corrections` is counted from; by default the previous one.
        full: List all days and read all events anew, instead of the last days.
        gathered: What `gather` found, if the snapshot is to hold that and nothing that came later.
        progress: Is told a share of the work, 0 to 1, and what is being done.
    """
    progress(0.0, "looking for new events")
    if gathered is None:
        gathered = gather(context, full=full)
    known = context.snapshots.manifest(since) if since else gathered.latest
    _warn_of_days_to_come(gathered)
    _erase_again(context, gathered.new)
    chunks = _compact(context, gathered, progress)
    policy = policy_of(context.settings)
    manifest = Manifest.build(base_id=_base_id(context), policy=policy, chunks=chunks)
    is_new = context.snapshots.write(manifest)
    context.snapshots.point_to(manifest, days=gathered.days, day=gathered.day)
    progress(1.0, f"snapshot {manifest.snapshot_id}")
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
        review=settings.review,
        max_per_person=settings.max_per_person,
        max_share=settings.max_share_per_person,
        share_allowance=settings.share_allowance,
    )


def gather(context: Context, *, full: bool = False) -> Gathered:
    """List the last days, and read the events there that the latest snapshot lacks; if `full`, all days and events."""
    pointer = context.snapshots.pointer()
    latest = context.snapshots.manifest(pointer.snapshot_id) if pointer else None
    gathered = Gathered(
        latest=latest,
        previous=None if full else latest,
        day=context.now().astimezone(UTC).strftime("%Y-%m-%d"),
        days={folder: context.corrections.days(folder) for folder in FOLDERS},
    )
    keys = _list_keys(context.corrections, gathered, None if full else pointer)
    _read_regions(context.snapshots, gathered, keys)
    new_ids = sorted(keys.keys() - gathered.known())
    raw = context.corrections.read([keys[event_id] for event_id in new_ids])
    gathered.new = [
        EventRecord(event_id, keys[event_id].partition("/")[0], data)
        for event_id, data in zip(new_ids, raw, strict=True)
    ]
    return gathered


def take_in(snapshots: SnapshotStore, gathered: Gathered, events: Iterable[Review]) -> None:
    """Add reviews that were stored since, such as the flags of a screening of what was gathered."""
    records = {event.id: EventRecord(event.id, "reviews", event.to_json()) for event in events}
    _read_regions(snapshots, gathered, records)
    gathered.new += [records[event_id] for event_id in sorted(records.keys() - gathered.known())]


def _list_keys(
    corrections: CorrectionStore, gathered: Gathered, pointer: Pointer | None
) -> dict[str, str]:
    """Keys by event id, of all days that the pointer does not vouch for."""
    found: dict[str, str] = {}
    for folder in FOLDERS:
        seen = pointer.days.get(folder, ()) if pointer else ()
        # A day after that of looking is a wrong clock's, and says nothing of what came since.
        until = (pointer.day if pointer else None) or gathered.day
        last = max(
            (day for day in gathered.days[folder] if day in seen and day <= until), default=None
        )
        recent = (
            (date.fromisoformat(last) - timedelta(days=LOOK_BACK_DAYS)).isoformat() if last else ""
        )
        for day in gathered.days[folder]:
            if day not in seen or day >= recent:
                found.update((event_id_of(key), key) for key in corrections.keys(folder, day))
    return found


def _read_regions(snapshots: SnapshotStore, gathered: Gathered, event_ids: Iterable[str]) -> None:
    """Read the chunks that these events fall into, unless they were read."""
    fallen = touched(gathered.chunks, event_ids) if gathered.chunks else {}
    unread = sorted(fallen.keys() - gathered.regions.keys())
    gathered.regions |= zip(
        unread, snapshots.events([gathered.chunks[index] for index in unread]), strict=True
    )


def _warn_of_days_to_come(gathered: Gathered) -> None:
    """Say which keys a wrong clock made; one that is a day ahead may be right."""
    tomorrow = (date.fromisoformat(gathered.day) + timedelta(days=1)).isoformat()
    if wrong := [
        f"{folder}/dt={day}/"
        for folder in FOLDERS
        for day in gathered.days[folder]
        if day > tomorrow
    ]:
        log.warning(
            "events lie under days to come (%s): set the clock of the machine they are from",
            ", ".join(wrong),
        )


def _erase_again(context: Context, new: Iterable[EventRecord]) -> None:
    """Repeat new erasures: a correction or a snapshot that was under way meanwhile may have brought pixels back."""
    events = (record.parse() for record in new if record.folder == "reviews")
    erased = {
        event.image_sha256
        for event in events
        if isinstance(event, Review) and event.action == "erase"
    }
    for image_sha256 in sorted(erased):
        context.corrections.erase_image(image_sha256)
    if erased:
        context.snapshots.erase_images(erased)


def _compact(context: Context, gathered: Gathered, progress: Progress) -> list[Chunk]:
    """Write the chunks that changed; all chunks of the new snapshot, in order."""
    old = gathered.chunks
    by_id = {record.id: record for record in gathered.new}
    chunks: list[Chunk] = []
    done = 0
    fallen = touched(old, by_id)
    for index in range(max(len(old), 1)):
        if index not in fallen:
            chunks += old[index : index + 1]
            continue
        new = [by_id[event_id] for event_id in fallen[index]]
        pixels = context.snapshots.images(old[index]) if old else {}
        for records in chunked(merged(gathered.regions.get(index, []), new)):
            progress(0.1 + 0.9 * done / len(by_id), f"{done} of {len(by_id)} new events compacted")
            chunks.append(_write_chunk(context, records, pixels))
            done = min(done + len(records), len(by_id))
    return chunks


def _write_chunk(
    context: Context, records: Sequence[EventRecord], known: Mapping[str, np.ndarray]
) -> Chunk:
    chunk, images = describe(records)
    context.snapshots.write_events(chunk, records)
    if not context.snapshots.has_images(chunk):
        missing = [sha256 for sha256 in images if sha256 not in known]
        read = read_pixels(context.corrections, missing)
        kept = {sha256: known[sha256] for sha256 in images if sha256 in known}
        context.snapshots.write_images(chunk, {**kept, **read})
    return chunk


def read_pixels(
    corrections: CorrectionStore, image_sha256s: Sequence[str]
) -> dict[str, np.ndarray]:
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


def _base_id(context: Context) -> str:
    return context.settings.base_dataset or context.datasets.get(None).id


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
