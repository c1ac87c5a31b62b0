"""The watch over a fresh promotion: compares answers to the new champion with the old's.

To be run now and then, by the DAG or a timer. Safe to run at any time: without a promotion to watch
it says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Final

from medloop.core.corrections.events import Correction, Promotion, event_id
from medloop.core.monitoring.promotion_watch import Seen, count_answers, judge
from medloop.jobs.alias_moves import moves
from medloop.jobs.context import Context
from medloop.jobs.rollback import rollback
from medloop.jobs.snapshot import gather
from medloop.stores.registry import CHAMPION

BEFORE_DAYS: Final = 30  # how far back the old champion's answers count
WATCHER: Final = "medloop watch"


@dataclass(frozen=True, slots=True)
class WatchResult:
    """The findings of the watch."""

    watching: bool  # whether there is a promotion young enough to be watched
    champion: str | None
    previous: str | None
    alarm: bool
    rolled_back: bool
    reasons: tuple[str, ...]


def watch(context: Context, *, dry_run: bool = False) -> WatchResult:
    """Look at the champion once; an alarm rolls back, unless `dry_run`."""
    champion = context.registry.version_of(CHAMPION)
    move = _watched(context, champion)
    if move is None:
        return WatchResult(
            False, champion, None, False, False, ("no promotion is young enough to be watched",)
        )
    old, new = str(move.from_version), move.to_version
    since = {
        new: datetime.fromisoformat(move.at),
        old: datetime.fromisoformat(move.at) - timedelta(days=BEFORE_DAYS),
    }
    seen = _seen(context, since)
    found = judge(seen[new], seen[old])
    if found.alarm and not dry_run:
        reason = f"alarm after the promotion of version {new}: {'; '.join(found.reasons)}"
        rollback(context, by=WATCHER, reason=reason, to=old)
    return WatchResult(True, champion, old, found.alarm, found.alarm and not dry_run, found.reasons)


def _watched(context: Context, champion: str | None) -> Promotion | None:
    """Find the promotion that made this champion, while it is young."""
    last = next(reversed(moves(context)), None)
    if (
        last is None
        or last.action != "promote"
        or last.to_version != champion
        or not last.from_version
    ):
        return None
    age = context.now() - datetime.fromisoformat(last.at)
    return last if age <= timedelta(days=context.settings.watch_days) else None


def _seen(context: Context, since: Mapping[str, datetime]) -> dict[str, Seen]:
    """Count what was seen of each version, from its time on."""
    said = list(_corrections(context, min(since.values())))
    unknown = _unknown(context, since)
    seen = {}
    for version, start in since.items():
        answers, wrong = count_answers(
            (item for item in said if item.id >= _first_id(start)), version
        )
        verdicts = unknown[version].values()
        seen[version] = Seen(
            answers=answers, wrong=wrong, predictions=len(verdicts), unknown=sum(verdicts)
        )
    return seen


def _corrections(context: Context, since: datetime) -> Iterator[Correction]:
    """Read corrections from a time on: from the latest snapshot, and one by one what that lacks."""
    first = _first_id(since)
    gathered = gather(context)
    held = context.snapshots.events([chunk for chunk in gathered.chunks if chunk.last >= first])
    for record in (*chain.from_iterable(held), *gathered.new):
        if record.folder == "corrections" and record.id >= first:
            event = (
                record.parse()
            )  # None: not a whole event; the snapshot tells people, the watch goes on
            if isinstance(event, Correction):
                yield event


def _unknown(context: Context, since: Mapping[str, datetime]) -> dict[str, dict[str, bool]]:
    """Tell by version if each image was called unknown, from the day of its time on."""
    found: dict[str, dict[str, bool]] = {version: {} for version in since}
    days = {version: f"{start.astimezone(UTC):%Y-%m-%d}" for version, start in since.items()}
    for day in context.predictions.days():
        asked = {version for version, first in days.items() if day >= first}
        for line in context.predictions.read(day) if asked else ():
            if line.model_version in asked:
                found[line.model_version][line.image_sha256] = line.verdict == "unknown"
    return found


def _first_id(since: datetime) -> str:
    """Make an id that no event of this time or later is smaller than."""
    return event_id(now=since, random=bytes(10))
