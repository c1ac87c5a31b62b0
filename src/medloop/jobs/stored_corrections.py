"""Tell if what people said is still in the store, beside everything else that remembers it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from medloop.core.corrections.events import Correction
from medloop.errors import MedloopError
from medloop.jobs.snapshot import read_pixels
from medloop.stores.corrections import CorrectionStore, event_id_of
from medloop.stores.objects import ObjectStore
from medloop.stores.outbox import Outbox
from medloop.stores.snapshots import SnapshotStore

SAMPLE: Final = 20  # corrections that are read with their images


@dataclass(frozen=True, slots=True)
class Census:
    """What lies in the store, and what should lie there but does not."""

    corrections: int
    reviews: int
    sampled: int
    losses: tuple[str, ...]  # a sentence for each kind


def take_census(
    objects: ObjectStore, outbox: Outbox, *, trained_on: Mapping[str, str] | None = None
) -> Census:
    """Count the events, read a sample, and compare with the outbox, snapshots and registry.

    Args:
        objects: The bucket.
        outbox: This machine's, which remembers what it has stored.
        trained_on: Snapshot id by the model version that learned from it.
    """
    store, snapshots = CorrectionStore(objects), SnapshotStore(objects)
    corrections = [
        key for day in store.days("corrections") for key in store.keys("corrections", day)
    ]
    reviews = [key for day in store.days("reviews") for key in store.keys("reviews", day)]
    present = {event_id_of(key) for key in (*corrections, *reviews)}
    sample = random.sample(corrections, min(SAMPLE, len(corrections)))
    losses = (
        *_missing(outbox.stored_ids() - present, "that this machine stored"),
        *_snapshot_losses(snapshots, present),
        *_forgotten_snapshots(snapshots, trained_on or {}),
        *_unreadable(store, sample),
    )
    return Census(len(corrections), len(reviews), len(sample), losses)


def _missing(gone: set[str], known: str) -> Iterator[str]:
    if gone:
        yield f"{len(gone)} events {known} are gone (such as {min(gone)})"


def _snapshot_losses(snapshots: SnapshotStore, present: set[str]) -> Iterator[str]:
    manifest = snapshots.latest()
    if manifest is None:
        return
    held, counted = snapshots.event_ids(manifest), manifest.corrections + manifest.reviews
    yield from _missing(held - present, f"of snapshot {manifest.snapshot_id}")
    if len(held) < counted:
        yield f"snapshot {manifest.snapshot_id} has {len(held)} of its {counted} events"


def _forgotten_snapshots(snapshots: SnapshotStore, trained_on: Mapping[str, str]) -> Iterator[str]:
    there = set(snapshots.ids()) if trained_on else set()
    for version, snapshot_id in trained_on.items():
        if snapshot_id not in there:
            yield f"snapshot {snapshot_id}, from which version {version} learned, is gone"


def _unreadable(store: CorrectionStore, keys: list[str]) -> Iterator[str]:
    events: dict[str, str] = {}  # image → event
    for key, body in zip(keys, store.read(keys), strict=True):
        try:
            events[Correction.from_json(body).image_sha256] = key
        except MedloopError as error:
            yield f"{key} is no correction ({error})"
    for sha256 in events.keys() - read_pixels(store, list(events)).keys():
        if not store.is_erased(sha256):
            yield f"the image of {events[sha256]} is gone or damaged"
