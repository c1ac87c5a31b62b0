"""After a promotion: do people correct the new version more than the old one, or does it know less?

Pure.

Few answers come in after a promotion, so the test is exact (Fisher's), and it is strict because it
is asked again and again. An alarm also wants a difference that matters: many answers make a tiny
one significant.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from scipy.stats import fisher_exact

from medloop.core.corrections.events import Correction

# One-sided, per look; with hourly looks for a week about one false alarm in twenty promotions.
LEVEL: Final = 0.002
LEAST_RISE: Final = 0.05  # of a share
LEAST_RATIO: Final = 1.5


@dataclass(frozen=True, slots=True)
class Seen:
    """The counts of a version's answers and predictions."""

    answers: int  # images on which somebody agreed or disagreed
    wrong: int  # of these, disagreed
    predictions: int  # different images predicted
    unknown: int  # of these, said to be none of the classes


@dataclass(frozen=True, slots=True)
class Judgement:
    """The decision to roll back or not, and the comparisons behind it."""

    alarm: bool
    reasons: tuple[str, ...]


def count_answers(corrections: Iterable[Correction], version: str) -> tuple[int, int]:
    """Count images answered and wrong for one version; the last answer to an image counts."""
    last: dict[str, Correction] = {}
    for correction in corrections:
        if correction.model_version == version and correction.predicted_label is not None:
            known = last.get(correction.image_sha256)
            if known is None or correction.id > known.id:
                last[correction.image_sha256] = correction
    return len(last), sum(not correction.agrees for correction in last.values())


def judge(new: Seen, old: Seen) -> Judgement:
    """Compare a new champion with the one before it."""
    pairs = (
        ("corrected", new.wrong, new.answers, old.wrong, old.answers),
        ("called unknown", new.unknown, new.predictions, old.unknown, old.predictions),
    )
    found = [_compare(*pair) for pair in pairs]
    return Judgement(
        alarm=any(alarm for alarm, _ in found), reasons=tuple(reason for _, reason in found)
    )


def _compare(what: str, new: int, new_n: int, old: int, old_n: int) -> tuple[bool, str]:
    if new_n == 0 or old_n == 0:
        return (
            False,
            f"{what}: nothing to compare yet ({new_n} images since the promotion, {old_n} before)",
        )
    rate, before = new / new_n, old / old_n
    p = float(fisher_exact([[new, new_n - new], [old, old_n - old]], alternative="greater").pvalue)
    alarm = p < LEVEL and rate - before >= LEAST_RISE and rate >= LEAST_RATIO * before
    return alarm, (
        f"{what}: {new} of {new_n} images ({100 * rate:.1f} %), before the promotion {old} of "
        f"{old_n} ({100 * before:.1f} %), p = {p:.2g}"
    )
