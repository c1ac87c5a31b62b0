"""Statistics of the model's and people's answers over time, as rows for charts.

Pure: records in, rows out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal

import numpy as np

from medloop.app.kit.wording import class_name, count_of, percent
from medloop.core.corrections.events import Correction, Review
from medloop.core.monitoring.drift import EXPECTED, LEAST, Drift
from medloop.core.monitoring.intervals import anytime_lower_bound

Interval = Callable[
    [int, int], tuple[float, float]
]  # successes and trials to the bounds of a share
By = Literal["class", "version"]
PROMISED: Final = 0.99  # of confident answers are right


def answers(events: Iterable[Correction | Review]) -> list[Correction]:
    """Pick corrections and confirmations of predictions: others say nothing of the model."""
    return [
        event
        for event in events
        if isinstance(event, Correction) and event.predicted_label is not None
    ]


def promise_sentence(answers: Iterable[Correction]) -> str:
    """Say how many confident answers of the version that answered last were right; or ""."""
    last = {answer.image_sha256: answer for answer in sorted(answers, key=lambda a: a.id)}
    version = max(last.values(), key=lambda a: a.id).model_version if last else None
    checked = [a for a in last.values() if a.verdict == "confident" and a.model_version == version]
    if not checked:
        return ""
    right = sum(answer.confirms for answer in checked)
    bound = percent(anytime_lower_bound(right, len(checked) - right), places=1)
    since = min(answer.at for answer in checked)[:10]
    return (
        f"Of {count_of(len(checked), 'confident answer')} of version {version} that people checked "
        f"since {since}, {right} {'was' if right == 1 else 'were'} right: at least {bound}. "
        f"{percent(PROMISED)} are promised."
    )


def count_per_day(items: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    """Count (time, what) per day and what."""
    counts = Counter((at[:10], what) for at, what in items)
    return [
        {"day": day, "what": what, "count": count} for (day, what), count in sorted(counts.items())
    ]


def spread_per_day(values: Iterable[tuple[str, float]]) -> list[dict[str, Any]]:
    """Find the middle of each day's values, and where 8 of 10 lie, from (time, value)."""
    days: dict[str, list[float]] = defaultdict(list)
    for at, value in values:
        days[at[:10]].append(value)
    rows = []
    for day, found in sorted(days.items()):
        low, middle, high = (float(value) for value in np.quantile(found, (0.1, 0.5, 0.9)))
        rows.append({"day": day, "low": low, "middle": middle, "high": high, "n": len(found)})
    return rows


def drift_sentence(what: str, found: Drift) -> str:
    """Write such as: 12 % of 230 pictures are … (probably between 8 % and 17 %)."""
    if found.n < LEAST:
        return f"{count_of(found.n, 'picture')} so far: {LEAST} are needed to tell."
    verdict = (
        "That is drift: the pictures have changed." if found.is_alarm else "No drift to be seen."
    )
    return (
        f"{percent(found.odd / found.n)} of {found.n} pictures {what} (probably between "
        f"{percent(found.low)} and "
        f"{percent(found.high)}); about {percent(EXPECTED)} is usual. {verdict}"
    )


def correction_rates(
    corrections: Iterable[Correction], *, by: By, interval: Interval
) -> list[dict[str, Any]]:
    """Share corrected answers by predicted class or by version, with intervals.

    People answer what looks wrong more readily than what looks right: the share is no error rate.
    """
    totals: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for correction in corrections:
        name = (
            class_name(correction.predicted_label)
            if by == "class"
            else f"version {correction.model_version}"
        )
        totals[name] += 1
        wrong[name] += not correction.agrees
    rows = []
    for name, n in sorted(totals.items()):
        low, high = interval(wrong[name], n)
        rows.append({"what": name, "share": wrong[name] / n, "low": low, "high": high, "n": n})
    return rows
