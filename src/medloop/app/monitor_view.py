"""What people's answers say about the model over time, as rows for charts. Pure: events in, rows out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Literal

from medloop.app.verdicts import class_name
from medloop.core.events import Correction, Review

Interval = Callable[[int, int], tuple[float, float]]  # successes and trials to the bounds of a share
By = Literal["class", "version"]


def answers(events: Iterable[Correction | Review]) -> list[Correction]:
    """Corrections and confirmations of predictions; what was said of unpredicted pictures says nothing of the model."""
    return [event for event in events if isinstance(event, Correction) and event.predicted_label is not None]


def answers_per_day(corrections: Iterable[Correction]) -> list[dict[str, Any]]:
    """How many answers a day, confirmed or corrected."""
    counts = Counter((c.at[:10], "confirmed" if agreed(c) else "corrected") for c in corrections)
    return [{"day": day, "what": what, "count": count} for (day, what), count in sorted(counts.items())]


def verdicts_per_day(corrections: Iterable[Correction]) -> list[dict[str, Any]]:
    """How sure the model was of the pictures that people answered."""
    counts = Counter((c.at[:10], c.verdict or "not recorded") for c in corrections)
    return [{"day": day, "what": what, "count": count} for (day, what), count in sorted(counts.items())]


def correction_rates(corrections: Iterable[Correction], *, by: By, interval: Interval) -> list[dict[str, Any]]:
    """Share of answers that were corrections, by predicted class or by version, with its interval.

    People answer what looks wrong more readily than what looks right: the share is no error rate.
    """
    totals: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for correction in corrections:
        name = class_name(correction.predicted_label) if by == "class" else f"version {correction.model_version}"
        totals[name] += 1
        wrong[name] += not agreed(correction)
    rows = []
    for name, n in sorted(totals.items()):
        low, high = interval(wrong[name], n)
        rows.append({"what": name, "share": wrong[name] / n, "low": low, "high": high, "n": n})
    return rows


def agreed(correction: Correction) -> bool:
    """Whether the person agreed with what the page had said: the class, or "unknown" where it is none of them."""
    if correction.verdict == "unknown":
        return correction.given_label is None
    return correction.confirms
