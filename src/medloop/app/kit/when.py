"""Times for people. Pure: the clock is passed in."""

from __future__ import annotations

from datetime import datetime
from typing import Final

UNITS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"))


def ago(at: str | datetime, now: datetime) -> str:
    """How long ago a time (ISO 8601 or a datetime, with zone) is, in the largest whole unit."""
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    seconds = (now - moment).total_seconds()
    for length, unit in UNITS:
        if (count := int(seconds // length)) >= 1:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def day_and_time(at: str | datetime) -> str:
    """Such as 2026-11-23 07:15 UTC."""
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    return f"{moment:%Y-%m-%d %H:%M} UTC"
