"""What people and the model said about one picture, line by line. Pure: the clock is passed in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from medloop.app.kit.wording import ago, class_name, percent
from medloop.core.corrections.events import Correction


def list_statements(
    corrections: Sequence[Correction], *, now: datetime, names: bool
) -> list[tuple[str, str]]:
    """List who said what, with remarks, oldest first; then the model that answered last.

    Args:
        corrections: About one picture, oldest first, at least one.
        now: The time.
        names: True if people are stored by name; else each gets a number, in order of first answers.
    """
    people = list(dict.fromkeys(correction.who for correction in corrections))
    known_as = {
        who: who if names else f"Person {number}" for number, who in enumerate(people, start=1)
    }
    rows = [(f"{known_as[c.who]}, {ago(c.at, now)}", _answer(c)) for c in corrections]
    last = corrections[-1]
    if last.predicted_label is not None:
        sure = f" ({percent(last.confidence)})" if last.confidence is not None else ""
        rows.append(
            (f"Model version {last.model_version}", class_name(last.predicted_label) + sure)
        )
    return rows


def _answer(correction: Correction) -> str:
    name = class_name(correction.given_label)
    return f"{name}: “{correction.note}”" if correction.note else name
