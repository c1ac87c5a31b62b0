"""The loop as it stands now, in numbers for people. Pure: records in, facts out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from medloop.app.kit.wording import ago, count_of, percent
from medloop.core.corrections.events import Correction, Promotion, Review

CHECKED_WITHIN: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Fact:
    """A number with its name and what it is about."""

    name: str
    value: str
    about: str


def answering(version: str | None, moves: Sequence[Promotion], *, now: datetime) -> Fact:
    """Name the version that answers, and since when."""
    if version is None:
        return Fact("Answers now", "No version", "The first one is installed at set-up")
    since = [move.at for move in moves if move.to_version == version]
    about = f"Took over {ago(since[-1], now)}" if since else "Nobody has promoted another yet"
    return Fact("Answers now", f"Version {version}", about)


def waiting(events: Iterable[Correction | Review], *, snapshot_until: str) -> Fact:
    """Count the answers that no snapshot holds; ids sort by time."""
    count = sum(isinstance(event, Correction) and event.id > snapshot_until for event in events)
    return Fact("New corrections", str(count), "wait for the next training")


def next_training(at: str | None, *, now: datetime) -> Fact:
    """Say when the next training begins; None is not planned or not known."""
    if at is None:
        return Fact("Next training", "Not planned", "or Airflow does not answer")
    left = datetime.fromisoformat(at) - now
    days, hours = left.days, left.seconds // 3600
    when = f"in {count_of(days, 'day')}" if days > 0 else f"in {count_of(hours, 'hour')}"
    return Fact("Next training", when, f"{datetime.fromisoformat(at):%A, %-d %B, %H:%M} UTC")


def promise(events: Iterable[Correction | Review], *, now: datetime) -> Fact:
    """Say how many of the confident answers that people checked lately were right."""
    checked = [
        event
        for event in events
        if isinstance(event, Correction)
        and event.verdict == "confident"
        and now - datetime.fromisoformat(event.at) <= CHECKED_WITHIN
    ]
    if not checked:
        return Fact("Confident and right", "Not known", "Nobody checked one in 30 days")
    share = percent(sum(event.agrees for event in checked) / len(checked), places=1)
    about = f"of {count_of(len(checked), 'confident answer')} that people checked in 30 days"
    return Fact("Confident and right", share, about)
