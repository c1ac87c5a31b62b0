"""Tell if what people said is still in the store, beside everything else that remembers it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from medloop.core.corrections.events import Correction
from medloop.errors import StoreError
from medloop.jobs.snapshot import read_pixels
from medloop.stores.corrections import CorrectionStore, Folder, event_id_of
from medloop.stores.objects import ObjectStore
from medloop.stores.outbox import Outbox
from medloop.stores.snapshots import SnapshotStore

SAMPLE: Final = 20  # corrections that are read with their images


@dataclass(frozen=True, slots=True)
class Census:
    """The number of stored events, and those missing from the store."""

    corrections: int
    reviews: int
    sampled: int
    losses: tuple[str, ...]  # a sentence for each kind


def take_census(
    objects: ObjectStore, outbox: Outbox, *, trained_on: Mapping[str, str] | None = None
) -> Census:
    """Count the events, read a sample, and compare with the outbox, snapshots and registry.

    This machine's outbox remembers what it has stored. `trained_on` has the snapshot id by the
    model version that learned from it.
    """
    store, snapshots = CorrectionStore(objects), SnapshotStore(objects)
    # Whoever remembers is asked before the store: what is said meanwhile is then no loss.
    stored, manifest = outbox.stored_ids(), snapshots.latest()
    held = snapshots.event_ids(manifest) if manifest else set()
    corrections, reviews = _keys(store, "corrections"), _keys(store, "reviews")
    present = {event_id_of(key) for key in (*corrections, *reviews)}
    sample = random.sample(corrections, min(SAMPLE, len(corrections)))
    losses = [
        *_missing("events that this machine stored", stored - present),
        *_missing("events of the latest snapshot", held - present),
        *_missing("snapshots that versions learned from", _forgotten(snapshots, trained_on or {})),
        *_missing("corrections of the sample, or their images,", _unreadable(store, sample)),
    ]
    if manifest and len(held) < (counted := manifest.corrections + manifest.reviews):
        losses.append(f"snapshot {manifest.snapshot_id} has {len(held)} of its {counted} events")
    return Census(len(corrections), len(reviews), len(sample), tuple(losses))


def _keys(store: CorrectionStore, folder: Folder) -> list[str]:
    return [key for day in store.days(folder) for key in store.keys(folder, day)]


def _missing(what: str, gone: set[str]) -> Iterator[str]:
    if gone:
        yield f"{len(gone)} {what} are gone or damaged (such as {min(gone)})"


def _forgotten(snapshots: SnapshotStore, trained_on: Mapping[str, str]) -> set[str]:
    there = set(snapshots.ids()) if trained_on else set()
    return {
        f"{snapshot_id} of version {version}"
        for version, snapshot_id in trained_on.items()
        if snapshot_id not in there
    }


def _unreadable(store: CorrectionStore, keys: Sequence[str]) -> set[str]:
    """Find the corrections that are none, and those whose image is not the one they name."""
    found: set[str] = set()
    events: dict[str, str] = {}  # image → event
    for key, body in zip(keys, store.read(keys), strict=True):
        try:
            events[Correction.from_json(body).image_sha256] = key
        except StoreError:
            found.add(key)
    for sha256 in events.keys() - read_pixels(store, list(events)).keys():
        if not store.is_erased(sha256):
            found.add(events[sha256])
    return found
