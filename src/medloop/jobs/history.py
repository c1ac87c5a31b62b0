"""Reads all that was ever said: in the latest snapshot, since then, and yet to be sent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from medloop.core.corrections.fold import Event, ImageState, fold
from medloop.core.corrections.snapshot import Manifest
from medloop.jobs.context import Context
from medloop.jobs.snapshot import gather
from medloop.stores.snapshots import SnapshotStore


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Every event, each once, by the hash of its image; and the states that they give."""

    by_image: Mapping[str, Sequence[Event]]
    states: Mapping[str, ImageState]

    def events(self) -> list[Event]:
        """List all of them, in no order."""
        return [event for events in self.by_image.values() for event in events]

    def with_more(self, events: Iterable[Event]) -> History:
        """Add events: only the images that these are about are folded again."""
        more = {
            sha256: tuple(
                {event.id: event for event in (*self.by_image.get(sha256, ()), *new)}.values()
            )
            for sha256, new in _by_image(events).items()
        }
        again = fold(event for events in more.values() for event in events)
        return History({**self.by_image, **more}, {**self.states, **again})


def read_history(context: Context) -> History:
    """Read what came since the latest snapshot, and its own events if it is new to this process.

    Raises:
        StoreError: The events cannot be read.
    """
    # Before the store is read: what is sent in between is then seen twice, not never.
    unsent = context.outbox.unsent()
    gathered = gather(context)
    old = (
        _in_snapshot(context.snapshots, gathered.previous) if gathered.previous else History({}, {})
    )
    new = [event for event in (record.parse() for record in gathered.new) if event is not None]
    return old.with_more([*new, *unsent])


@lru_cache(maxsize=1)
def _in_snapshot(snapshots: SnapshotStore, manifest: Manifest) -> History:
    events = snapshots.all_events(manifest)
    return History(_by_image(events), fold(events))


def _by_image(events: Iterable[Event]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        found[event.image_sha256].append(event)
    return dict(found)
