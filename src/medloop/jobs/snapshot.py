"""Folds what came in since the last snapshot into a new one, at the cost of what is new.

What is no event, nor signed, or whose image can't be read, stays out and is named. Its day does not
count as seen, so that every later snapshot looks at it again: what is whole by then is taken in.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from medloop.core.corrections.correction_policy import Policy, decide
from medloop.core.corrections.events import EVENT_KEY, MAX_EVENT_BYTES, Correction, Review
from medloop.core.corrections.fold import fold
from medloop.core.corrections.snapshot import (
    Chunk,
    EventRecord,
    Manifest,
    chunked,
    corrected_images,
    describe,
    events_about,
    merged,
    touched,
)
from medloop.core.imaging.decode import decode
from medloop.core.imaging.preprocess import preprocess
from medloop.errors import DecodeError, StoreError
from medloop.jobs.context import Context
from medloop.progress import Progress, silent
from medloop.stores.corrections import CorrectionStore, Folder, days_among, event_id_of
from medloop.stores.objects import ObjectInfo
from medloop.stores.signatures import UNSIGNED
from medloop.stores.snapshots import Pointer, SnapshotStore

if TYPE_CHECKING:
    from medloop.settings import Settings

FOLDERS: Final[tuple[Folder, ...]] = ("corrections", "reviews")
LOOK_BACK_DAYS: Final = 2  # for clocks that differ, and for what was on its way at midnight
READERS: Final = 32  # images read and decoded at once
BATCH: Final = 4096  # events or images that are read at once
KEPT: Final = 50_000  # images that stay in memory, 200 MiB

NO_IMAGE: Final = "its image is missing or damaged"
NAMED: Final = 10  # of what is left out, in one line

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SnapshotResult:
    """A snapshot's content. `new_corrections` counts from the previous one, or the one named."""

    snapshot_id: str
    new_corrections: int
    corrections: int
    reason: str
    left_out: Mapping[str, str] = field(default_factory=dict)  # why, by key


@dataclass(slots=True)
class Gathered:
    """The events in the store beyond a snapshot."""

    latest: Manifest | None
    previous: Manifest | None  # the latest snapshot, to go on from; None to begin anew
    day: str  # of looking, YYYY-MM-DD
    days: Mapping[Folder, Sequence[str]]  # all days with events, by folder
    # The chunks of `previous` that new events fall into.
    regions: dict[int, list[EventRecord]] = field(default_factory=dict)
    new: list[EventRecord] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)  # of `new`, by event id
    pixels: dict[str, np.ndarray] = field(default_factory=dict)  # of some of their images
    left_out: dict[str, str] = field(default_factory=dict)  # why, by key

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """List the chunks to go on from."""
        return self.previous.chunks if self.previous else ()

    def list_ids(self) -> set[str]:
        """List the ids of all events that were read."""
        return {record.id for records in (self.new, *self.regions.values()) for record in records}

    def list_closed_days(self) -> dict[Folder, list[str]]:
        """List the days that need not be looked at again, by folder."""
        open_days = {tuple(key.split("/")[:2]) for key in self.left_out}
        return {
            folder: [day for day in days if (folder, f"dt={day}") not in open_days]
            for folder, days in self.days.items()
        }


def snapshot(
    context: Context,
    *,
    since: str | None = None,
    full: bool = False,
    gathered: Gathered | None = None,
    progress: Progress = silent,
) -> SnapshotResult:
    """Take a snapshot. Safe to run twice, and at once: the same events give the same snapshot.

    `since` is the snapshot that `new_corrections` is counted from, by default the previous one.
    `full` begins anew: it reads all events and images again, writes all shards again, and points to
    the result whatever the latest snapshot holds. `gathered` is what `gather` found, if the
    snapshot is to hold that and nothing that came later.

    Raises:
        StoreError: The store is away, or this process cannot check signatures.
    """
    progress(0.0, "looking for new events")
    context.signatures.check_keys()
    if gathered is None:
        gathered = gather(context, full=full, with_images=True)
    known = context.snapshots.manifest(since) if since else gathered.latest
    _warn(gathered)
    _erase_again(context, gathered.new)
    manifest, is_new = _write(context, gathered, progress)
    progress(1.0, f"snapshot {manifest.snapshot_id}")
    result = SnapshotResult(
        snapshot_id=manifest.snapshot_id,
        new_corrections=manifest.corrections - (known.corrections if known else 0),
        corrections=manifest.corrections,
        reason=_reason(manifest, known),
        left_out=gathered.left_out,
    )
    if is_new:
        log.info("snapshot %s: %s", result.snapshot_id, result.reason)
    return result


def _write(context: Context, gathered: Gathered, progress: Progress) -> tuple[Manifest, bool]:
    """Write the snapshot, and point to it as the latest; tell if it is new."""
    chunks = _compact(context, gathered, progress)
    policy = policy_of(context.settings)
    manifest = Manifest.build(base_id=_base_id(context), policy=policy, chunks=chunks)
    anew = gathered.previous is None
    is_new = context.snapshots.write(manifest, anew=anew)
    days = gathered.list_closed_days()
    context.snapshots.point_to(manifest, days=days, day=gathered.day, anew=anew)
    return manifest, is_new


def extend(context: Context, snapshot_id: str, events: Iterable[Review]) -> str:
    """Write the snapshot that holds these reviews, too; which one is the latest stays."""
    manifest = context.snapshots.manifest(snapshot_id)
    gathered = Gathered(latest=manifest, previous=manifest, day="", days={})
    take_in(context.snapshots, gathered, events)
    chunks = _compact(context, gathered, silent)
    extended = Manifest.build(base_id=manifest.base_id, policy=manifest.policy, chunks=chunks)
    context.snapshots.write(extended)
    return extended.snapshot_id


def accepted_labels(context: Context, snapshot_id: str) -> dict[str, str | None]:
    """Map each image that a snapshot accepts to its label; None is "none of these"."""
    manifest = context.snapshots.manifest(snapshot_id)
    decisions = decide(fold(context.snapshots.all_events(manifest)).values(), manifest.policy)
    return {d.state.image_sha256: d.state.label for d in decisions if d.verdict == "accepted"}


def policy_of(settings: Settings) -> Policy:
    """Read from the settings what waits for a reviewer."""
    return Policy(
        review=settings.review,
        max_per_person=settings.max_per_person,
        max_share=settings.max_share_per_person,
        share_allowance=settings.share_allowance,
        second_word=settings.review == "suspicious",
    )


def gather(context: Context, *, full: bool = False, with_images: bool = False) -> Gathered:
    """List the last days, and read the events there that the latest snapshot lacks.

    `full` looks at all days and events, as if there was no snapshot, and whatever the latest one is
    like. `with_images` leaves out corrections whose images cannot be read, as a snapshot does.
    """
    pointer, latest = context.snapshots.look(lost_ok=full)
    folders = {folder: context.corrections.folders(folder) for folder in FOLDERS}
    gathered = Gathered(
        latest=latest,
        previous=None if full else latest,
        day=context.now().astimezone(UTC).strftime("%Y-%m-%d"),
        days={folder: days_among(names) for folder, names in folders.items()},
    )
    gathered.left_out |= {
        f"{folder}/{name}/": "no day of events"
        for folder, names in folders.items()
        for name in set(names) - {f"dt={day}" for day in gathered.days[folder]}
    }
    listed = _list(context.corrections, gathered, None if full else pointer)
    _read_regions(context.snapshots, gathered, {event_id_of(info.key) for info in listed})
    _read_new(context, gathered, listed)
    if with_images:
        _leave_out_without_image(context.corrections, gathered)
    return gathered


def take_in(snapshots: SnapshotStore, gathered: Gathered, events: Iterable[Review]) -> None:
    """Add reviews that were stored since, such as the flags of a screening of what was gathered."""
    records = {event.id: EventRecord(event.id, "reviews", event.to_json()) for event in events}
    _read_regions(snapshots, gathered, records)
    gathered.new += [records[event_id] for event_id in sorted(records.keys() - gathered.list_ids())]


def _list(
    corrections: CorrectionStore, gathered: Gathered, pointer: Pointer | None
) -> list[ObjectInfo]:
    """List the events of all days that the pointer does not vouch for, the first stored first.

    Two objects may bear one id. The one that S3 had first counts, so that nobody can put another in
    its place.
    """
    found = []
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
                found += corrections.list_day(folder, day)
    gathered.left_out |= {info.key: why for info in found if (why := _why_unread(info))}
    events = (info for info in found if info.key not in gathered.left_out)
    return sorted(events, key=lambda info: (info.modified, info.key))


def _why_unread(info: ObjectInfo) -> str:
    if not EVENT_KEY.fullmatch(info.key):
        return "no key of an event"
    return f"longer than {MAX_EVENT_BYTES} bytes" if info.size_bytes > MAX_EVENT_BYTES else ""


def _read_regions(snapshots: SnapshotStore, gathered: Gathered, event_ids: Iterable[str]) -> None:
    """Read the chunks that these events fall into, unless they were read."""
    fallen = touched(gathered.chunks, event_ids) if gathered.chunks else {}
    unread = sorted(fallen.keys() - gathered.regions.keys())
    gathered.regions |= zip(
        unread, snapshots.events([gathered.chunks[index] for index in unread]), strict=True
    )


def _read_new(context: Context, gathered: Gathered, listed: Sequence[ObjectInfo]) -> None:
    """Read the events that no snapshot holds, and leave out what is none.

    What was none before is not read again by this process, unless it was written since.
    """
    known, remembered = gathered.list_ids(), context.corrections.no_events
    new = [info for info in listed if event_id_of(info.key) not in known]
    found: dict[str, EventRecord] = {}
    for start in range(0, len(new), BATCH):
        some = [
            info for info in new[start : start + BATCH] if (info.key, info.e_tag) not in remembered
        ]
        for info, raw in zip(some, context.corrections.read([i.key for i in some]), strict=True):
            key = info.key
            record = EventRecord(event_id_of(key), key.partition("/")[0], raw)
            if why := _why_left_out(context, record, key):
                remembered[key, info.e_tag] = why
            elif found.setdefault(record.id, record) is record:
                gathered.keys[record.id] = key
            elif found[record.id] != record:
                gathered.left_out[key] = "another event has this id"
    names = ((info.key, info.e_tag) for info in new)
    gathered.left_out |= {name[0]: remembered[name] for name in names if name in remembered}
    gathered.new = sorted(found.values())


def _why_left_out(context: Context, record: EventRecord, key: str) -> str:
    try:
        event = record.read()
    except StoreError as error:
        return str(error)
    if isinstance(event, Review) and not context.signatures.accepts(event, key=key, raw=record.raw):
        return UNSIGNED
    return ""


def _leave_out_without_image(corrections: CorrectionStore, gathered: Gathered) -> None:
    """Leave out what is said about an image that is missing and not erased, or damaged."""
    images = corrected_images(gathered.new)
    gone: set[str] = set()
    for start in range(0, len(images), BATCH):
        some = images[start : start + BATCH]
        read = read_pixels(corrections, some)
        gone |= {sha256 for sha256 in set(some) - read.keys() if not corrections.is_erased(sha256)}
        if len(gathered.pixels) < KEPT:
            gathered.pixels |= read
    lost = {event.id for event in events_about(gathered.new, gone) if isinstance(event, Correction)}
    gathered.left_out |= {gathered.keys[event_id]: NO_IMAGE for event_id in lost}
    gathered.new = [record for record in gathered.new if record.id not in lost]


def _warn(gathered: Gathered) -> None:
    """Say what is left out, and which keys a wrong clock made: of more than a day ahead."""
    if gathered.left_out:
        log.warning("%s", describe_left_out(gathered.left_out))
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


def describe_left_out(left_out: Mapping[str, str]) -> str:
    """Count and name what is left out, in one line that no name can break; "" without any."""
    if not left_out:
        return ""
    named = [f"{ascii(key)[1:-1]} ({ascii(why)[1:-1]})" for key, why in sorted(left_out.items())]
    more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
    objects = "1 object is" if len(named) == 1 else f"{len(named)} objects are"
    return f"{objects} left out: {', '.join(named[:NAMED])}{more}"


def _erase_again(context: Context, new: Iterable[EventRecord]) -> None:
    """Repeat new erasures: what was under way meanwhile may have brought pixels back."""
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
        pixels = {**gathered.pixels, **(context.snapshots.images(old[index]) if old else {})}
        for records in chunked(merged(gathered.regions.get(index, []), new)):
            progress(0.1 + 0.9 * done / len(by_id), f"{done} of {len(by_id)} new events compacted")
            chunks.append(_write_chunk(context, records, pixels, anew=gathered.previous is None))
            done = min(done + len(records), len(by_id))
    return chunks


def _write_chunk(
    context: Context, records: Sequence[EventRecord], known: Mapping[str, np.ndarray], *, anew: bool
) -> Chunk:
    chunk, images = describe(records)
    context.snapshots.write_events(chunk, records, anew=anew)
    if anew or not context.snapshots.has_images(chunk):
        missing = [sha256 for sha256 in images if sha256 not in known]
        read = read_pixels(context.corrections, missing)
        kept = {sha256: known[sha256] for sha256 in images if sha256 in known}
        context.snapshots.write_images(chunk, {**kept, **read}, anew=anew)
    return chunk


def read_pixels(
    corrections: CorrectionStore, image_sha256s: Sequence[str]
) -> dict[str, np.ndarray]:
    """Read stored images as uint8 [64, 64], by hash, without those that are gone or damaged."""
    with ThreadPoolExecutor(READERS, thread_name_prefix="images") as pool:
        read = pool.map(lambda sha256: _pixels(corrections, sha256), image_sha256s)
        found = dict(zip(image_sha256s, read, strict=True))
    return {sha256: pixels for sha256, pixels in found.items() if pixels is not None}


def _pixels(corrections: CorrectionStore, image_sha256: str) -> np.ndarray | None:
    (png,) = corrections.images([image_sha256])
    try:
        image = decode(png) if png is not None else None
    except DecodeError:
        image = None
    if image is None or image.sha256 != image_sha256:
        return None  # erased, damaged or changed in the store
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
    same = f"the same events as snapshot {known.snapshot_id}"
    return f"{same}, with another base data set or review policy"
