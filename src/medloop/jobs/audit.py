"""The corrections that a version learned from, with their authors and times.

Also through the versions whose weights it started from: what those were trained on has left its
mark.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from medloop.core.corrections.events import event_time
from medloop.core.corrections.fold import ImageState, fold
from medloop.core.corrections.lineage import forebears
from medloop.errors import NotFoundError
from medloop.jobs.context import Context
from medloop.jobs.training_record import Recipe, read_recipe, read_uses
from medloop.stores.registry import ModelVersion


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A corrected image as a training knew it."""

    image_sha256: str
    label: str | None  # None: none of the classes
    use: str  # trained, held out, …
    who: tuple[str, ...]  # those who said so; () where the events are gone
    at: str  # of the last of their corrections, ISO 8601; "" where the events are gone
    event_ids: tuple[str, ...]
    # The version that learned it and whose weights this one started from; "" for its own training.
    through: str = ""


@dataclass(frozen=True, slots=True)
class Audit:
    """A version's recipe and its corrections."""

    version: str
    recipe: Recipe
    rows: tuple[AuditRow, ...]
    unknown: str = ""  # why it may have learned more


def audit(context: Context, *, version: str) -> Audit:
    """List what `version` learned from: by itself, then what only versions before it did.

    Raises:
        NotFoundError: There is no such version, or its run holds no record.
    """
    found = context.registry.get(version)
    recipe = read_recipe(context, found)
    rows = list(_rows(context, found))
    known = {(row.image_sha256, row.label) for row in rows if row.use == "trained"}
    versions = {item.version: item for item in context.registry.versions()}
    parents = {name: item.tags.parent_version for name, item in versions.items()}
    unknown = ""
    for forebear in forebears(parents, version):
        try:
            inherited = _uses(context, versions[forebear])
        except (KeyError, NotFoundError):
            unknown = f"it started from version {forebear}, whose record is gone"
            break
        new = {sha256: label for sha256, label in inherited if (sha256, label) not in known}
        known.update(new.items())
        rows += _rows(context, versions[forebear], only=new, through=forebear) if new else ()
    return Audit(version=version, recipe=recipe, rows=tuple(rows), unknown=unknown)


def _uses(context: Context, version: ModelVersion) -> list[tuple[str, str | None]]:
    """Read image hash and label of what it was trained on."""
    return [
        (sha256, label) for sha256, label, use in read_uses(context, version) if use == "trained"
    ]


def _rows(
    context: Context,
    version: ModelVersion,
    *,
    only: Mapping[str, str | None] | None = None,
    through: str = "",
) -> Iterator[AuditRow]:
    """List what one training knew; `only` names those of the trained that are asked for."""
    states: dict[str, ImageState] = {}
    if snapshot_id := version.tags.snapshot_id:
        states = fold(context.snapshots.all_events(context.snapshots.manifest(snapshot_id)))
    for sha256, label, use in read_uses(context, version):
        if only is not None and (use != "trained" or only.get(sha256, "") != label):
            continue
        state = states.get(sha256)
        event_ids = state.event_ids if state else ()
        at = event_time(max(event_ids)).isoformat(timespec="seconds") if event_ids else ""
        yield AuditRow(sha256, label, use, state.who if state else (), at, event_ids, through)
