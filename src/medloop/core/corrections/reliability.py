"""Rates how reliable each person's answers were, by reviewers' decisions and by honeypots."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from medloop.core.corrections.events import Review
from medloop.core.corrections.fold import Event, ImageState

Z: Final = 1.96  # 95 % confidence
LEAST_JUDGED: Final = 10  # answers before anybody is distrusted: the first one wrong says little


@dataclass(frozen=True, slots=True)
class Reliability:
    """One person. Their share of right answers is `at_least` this, with 97.5 % confidence."""

    who: str
    answers: int  # that count today
    judged: int  # answers about images that another reviewer labelled, or whose class was known
    right: int  # of those, confirmed
    at_least: float


def reliabilities(events: Iterable[Event], states: Iterable[ImageState]) -> list[Reliability]:
    """Rate everybody who corrects or was tried, the least reliable first, then by name.

    A reviewer's own answers about images that they decided themselves prove nothing. A rejection
    does not either: it may be for the image's sake.

    Args:
        events: Of these, only answers to honeypots count.
        states: The fold of all events.
    """
    answers: Counter[str] = Counter()
    judged: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for state in states:
        for who, label in state.answers:
            answers[who] += 1
            if state.decided_by not in (None, who):
                judged[who] += 1
                right[who] += label == state.label
    for event in events:
        if (
            isinstance(event, Review)
            and event.action == "trial"
            and event.why in ("right", "wrong")
        ):
            judged[event.who] += 1
            right[event.who] += event.why == "right"
    people = [
        Reliability(who, answers[who], judged[who], right[who], _lower(right[who], judged[who]))
        for who in answers.keys() | judged.keys()
    ]
    return sorted(people, key=lambda person: (person.at_least, person.who))


def distrusted(people: Iterable[Reliability], least: float) -> Mapping[str, Reliability]:
    """Choose who was judged often and may be right less often than `least`, by name."""
    return {
        person.who: person
        for person in people
        if person.judged >= LEAST_JUDGED and person.at_least < least
    }


def _lower(right: int, judged: int) -> float:
    """Lower end of Wilson's interval, which holds for small numbers too."""
    if judged == 0:
        return 0.0
    share = right / judged
    centre = share + Z**2 / (2 * judged)
    margin = Z * math.sqrt(share * (1 - share) / judged + Z**2 / (4 * judged**2))
    return max(0.0, (centre - margin) / (1 + Z**2 / judged))
