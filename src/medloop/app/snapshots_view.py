"""What a snapshot and a version's training say about single corrections. Reads the stores; decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medloop.core.acceptance import Decision, decide
from medloop.core.fold import fold
from medloop.errors import NotFoundError
from medloop.jobs.loop import Loop


@dataclass(frozen=True, slots=True, eq=False)
class SnapshotFacts:
    """One snapshot: which events it holds and what was decided about each image."""

    snapshot_id: str
    event_ids: frozenset[str]
    decisions: Mapping[str, Decision]  # by image hash


def snapshot_facts(loop: Loop, snapshot_id: str) -> SnapshotFacts:
    """Read a snapshot's events and decide about them as training would, without their pixels.

    Raises:
        StoreError: The snapshot cannot be read.
    """
    manifest = loop.snapshots.manifest(snapshot_id)
    events = loop.snapshots.all_events(manifest)
    decisions = decide(fold(events).values(), manifest.policy)
    return SnapshotFacts(
        snapshot_id=snapshot_id,
        event_ids=frozenset(event.id for event in events),
        decisions={decision.state.image_sha256: decision for decision in decisions},
    )


def uses(loop: Loop, version: str) -> dict[tuple[str, str | None], str]:
    """What the training of a version did with each correction, by image hash and label; {} where its run is silent."""
    from medloop.jobs.training_record import read_uses  # brings the gate's statistics along

    try:
        return {(sha256, label): use for sha256, label, use in read_uses(loop, loop.registry.get(version))}
    except NotFoundError:
        return {}
