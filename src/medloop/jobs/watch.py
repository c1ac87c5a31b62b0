"""The watch over a fresh promotion: compares what people say of the new champion with the old, and goes back on alarm.

To be run now and then, by the DAG or a timer. Safe to run at any time: without a promotion to watch it says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from medloop.core.events import Correction, Promotion
from medloop.core.watch import Seen, count_answers, judge
from medloop.errors import StoreError
from medloop.jobs.loop import Loop
from medloop.jobs.moves import moves
from medloop.jobs.rollback import rollback
from medloop.stores.registry import CHAMPION

BEFORE_DAYS: Final = 30  # how far back the old champion's answers count
WATCHER: Final = "medloop watch"


@dataclass(frozen=True, slots=True)
class WatchResult:
    """What the watch found."""

    watching: bool  # whether there is a promotion young enough to be watched
    champion: str | None
    previous: str | None
    alarm: bool
    rolled_back: bool
    reasons: tuple[str, ...]


def watch(loop: Loop, *, dry_run: bool = False) -> WatchResult:
    """Look at the champion once; an alarm rolls back, unless `dry_run`."""
    champion = loop.registry.version_of(CHAMPION)
    move = _watched(loop, champion)
    if move is None:
        return WatchResult(False, champion, None, False, False, ("no promotion is young enough to be watched",))
    old, new = str(move.from_version), move.to_version
    found = judge(_seen(loop, new, since=move.at), _seen(loop, old, since=_before(move.at)))
    if found.alarm and not dry_run:
        reason = f"alarm after the promotion of version {new}: {'; '.join(found.reasons)}"
        rollback(loop, by=WATCHER, reason=reason, to=old)
    return WatchResult(True, champion, old, found.alarm, found.alarm and not dry_run, found.reasons)


def _watched(loop: Loop, champion: str | None) -> Promotion | None:
    """The promotion that made this champion, while it is young."""
    last = next(reversed(moves(loop)), None)
    if last is None or last.action != "promote" or last.to_version != champion or not last.from_version:
        return None
    age = loop.now() - datetime.fromisoformat(last.at)
    return last if age <= timedelta(days=loop.settings.watch_days) else None


def _before(at: str) -> str:
    return (datetime.fromisoformat(at) - timedelta(days=BEFORE_DAYS)).isoformat()


def _seen(loop: Loop, version: str, *, since: str) -> Seen:
    answers, wrong = count_answers(_corrections(loop, since[:10]), version)
    unknown: dict[str, bool] = {}
    for day in loop.predictions.days():
        if day >= since[:10]:
            lines = (line for line in loop.predictions.read(day) if line.model_version == version)
            unknown |= {line.image_sha256: line.verdict == "unknown" for line in lines}
    return Seen(answers=answers, wrong=wrong, predictions=len(unknown), unknown=sum(unknown.values()))


def _corrections(loop: Loop, first_day: str) -> Iterator[Correction]:
    for day in loop.corrections.days("corrections"):
        if day >= first_day:
            for raw in loop.corrections.read(loop.corrections.keys("corrections", day)):
                try:
                    yield Correction.from_json(raw)
                except StoreError:
                    continue  # not a whole event: the snapshot tells people, the watch goes on
