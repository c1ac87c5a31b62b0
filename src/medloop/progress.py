"""Progress reports of long work to its caller."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float, str], None]  # share done, 0 to 1, and what is being done


def silent(share: float, doing: str) -> None:
    """Tell nobody."""


def part(progress: Progress, low: float, high: float) -> Progress:
    """Return a progress for work that takes the given part of the whole."""
    return lambda share, doing: progress(low + (high - low) * share, doing)
