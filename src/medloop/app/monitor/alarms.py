"""Alarms: the watch over a promotion, drift, and corrections that do not get through."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from medloop.app.kit.wording import ago, count_of
from medloop.app.process.backend import Backend
from medloop.core.monitoring.drift import Drift
from medloop.errors import MedloopError

STUCK_AFTER: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Watched:
    """The verdict of the watch over the newest promotion; the DAG or a timer rolls back."""

    alarm: bool
    sentence: str


def promotion(backend: Backend) -> Watched:
    """Judge the newest promotion, and change nothing."""
    try:
        from medloop.jobs.promotion_watch import (
            watch,  # brings scipy along, which a front end alone may lack
        )
    except ModuleNotFoundError:
        return Watched(
            alarm=False,
            sentence="The watch over promotions needs `medloop[train]`, which is missing here.",
        )
    try:
        found = watch(backend.context, dry_run=True)
    except MedloopError as error:
        return Watched(alarm=False, sentence=f"The newest promotion cannot be judged. {error}")
    if not found.watching:
        return Watched(
            alarm=False, sentence="No version was promoted lately, so none is being watched."
        )
    reasons = "; ".join(found.reasons)
    if found.alarm:
        return Watched(
            alarm=True,
            sentence=f"Version {found.champion} does worse than version {found.previous} did: "
            f"{reasons}",
        )
    return Watched(
        alarm=False,
        sentence=f"Version {found.champion} against version {found.previous}: {reasons}",
    )


def stuck(backend: Backend) -> str:
    """Tell of corrections that have waited too long on this machine; "" if none has."""
    status = backend.context.outbox.status()
    now = backend.context.now()
    if not status.oldest_at or now - datetime.fromisoformat(status.oldest_at) < STUCK_AFTER:
        return ""
    oldest = ago(status.oldest_at, now)
    return f"{count_of(status.pending, 'correction')} not stored yet, the oldest from {oldest}."


def drifted(confidence: Drift, distance: Drift) -> list[str]:
    """Tell what surely drifts."""
    said = []
    if confidence.is_alarm:
        said.append(
            "The model is less sure of the pictures that come in than of its test pictures."
        )
    if distance.is_alarm:
        said.append(
            "The pictures that come in are unlike those that the model learned from: another "
            "scanner, perhaps?"
        )
    return said
