"""What a version learned from, correction by correction, with who said so and when."""

from __future__ import annotations

from dataclasses import dataclass

from medloop.core.events import event_time
from medloop.core.fold import fold
from medloop.jobs.loop import Loop
from medloop.jobs.training_record import Recipe, read_recipe, read_uses


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One corrected image as a training knew it."""

    image_sha256: str
    label: str | None  # None: none of the classes
    use: str  # trained, held out, …
    who: tuple[str, ...]  # those who said so; () where the events are gone
    at: str  # of the last of their corrections, ISO 8601; "" where the events are gone
    event_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Audit:
    """A version's recipe and its corrections."""

    version: str
    recipe: Recipe
    rows: tuple[AuditRow, ...]


def audit(loop: Loop, *, version: str) -> Audit:
    """Everything that `version` learned from.

    Raises:
        NotFoundError: There is no such version, or its run holds no record.
    """
    found = loop.registry.get(version)
    recipe = read_recipe(loop, found)
    rows = read_uses(loop, found)
    states = {}
    if recipe.snapshot_id:
        states = fold(loop.snapshots.all_events(loop.snapshots.manifest(recipe.snapshot_id)))
    audited = []
    for sha256, label, use in rows:
        state = states.get(sha256)
        event_ids = state.event_ids if state else ()
        at = event_time(max(event_ids)).isoformat(timespec="seconds") if event_ids else ""
        audited.append(AuditRow(sha256, label, use, state.who if state else (), at, event_ids))
    return Audit(version=version, recipe=recipe, rows=tuple(audited))
