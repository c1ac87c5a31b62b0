"""What the events, the latest snapshot and a version's training say about single corrections. Reads the stores."""

from __future__ import annotations

from collections.abc import Mapping

from medloop.core.corrections.correction_policy import PolicyDecision, decide
from medloop.core.corrections.fold import fold
from medloop.errors import NotFoundError
from medloop.jobs.context import Context
from medloop.jobs.review import all_events
from medloop.jobs.snapshot import policy_of

ERASED = "the picture was erased"


def standing(context: Context) -> Mapping[str, PolicyDecision]:
    """What would be decided about each image today, by its hash: as the review queue and the next snapshot see it.

    Raises:
        StoreError: The events cannot be read.
    """
    states = fold(all_events(context))
    decisions = {
        decision.state.image_sha256: decision
        for decision in decide(states.values(), policy_of(context.settings))
    }
    erased = {
        key: PolicyDecision(state, "rejected", (ERASED,))
        for key, state in states.items()
        if state.status == "erased"
    }
    return {**decisions, **erased}


def event_ids(context: Context, snapshot_id: str) -> frozenset[str]:
    """The events that a snapshot holds.

    Raises:
        StoreError: The snapshot cannot be read.
    """
    return frozenset(
        event.id for event in context.snapshots.all_events(context.snapshots.manifest(snapshot_id))
    )


def uses(context: Context, version: str) -> dict[tuple[str, str | None], str]:
    """What the training of a version did with each correction, by image hash and label; {} where its run is silent."""
    from medloop.jobs.training_record import read_uses  # brings the gate's statistics along

    try:
        return {
            (sha256, label): use
            for sha256, label, use in read_uses(context, context.registry.get(version))
        }
    except NotFoundError:
        return {}
