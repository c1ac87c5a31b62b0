"""The words that pages share: verdicts, class names, numbers and times for people. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from medloop.core.class_names import NONE_OF_THESE as NONE_OF_THESE
from medloop.core.class_names import class_name as class_name
from medloop.core.prediction.predictor import Doubt, Prediction, Verdict

Color = Literal["green", "orange", "violet"]

RUNNER_UP: Final = 0.05  # a less likely second class is not worth naming
UNFAMILIAR: Final = ", but the picture is somewhat unlike what the model has learned"
DOUBTS: Final[Mapping[Doubt, str]] = {
    "colour": ", but the picture is in colour, and the model sees its brightness alone",
    "tags": ", but the file's own tags say otherwise",
}
NEED: Final[Mapping[Verdict, int]] = {"unknown": 0, "unsure": 1, "confident": 2}
UNITS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"))


@dataclass(frozen=True, slots=True)
class Advice:
    """A verdict in a person's words."""

    word: str  # one word for a badge
    icon: str  # Streamlit material icon; the verdict is never told by colour alone
    color: Color
    headline: str
    sentence: str  # what it means and what to do


def name_classes(text: str, labels: Iterable[str]) -> str:
    """Write the labels within a sentence as people say them."""
    known = "|".join(map(re.escape, labels))
    return re.sub(rf"\b({known})\b", lambda found: class_name(found[0]), text) if known else text


def percent(share: float, *, places: int = 0) -> str:
    """Write a share for people: never "100 %" or "0 %" unless it is exactly that."""
    if share in (0, 1):
        return f"{share * 100:.0f} %"
    step = 10**-places
    shown = round(share * 100, places)
    if share < 1 and shown >= 100:
        return f"over {100 - step:.{places}f} %"
    if share > 0 and shown <= 0:
        return f"under {step:.{places}f} %"
    return f"{shown:.{places}f} %"


def advice(prediction: Prediction) -> Advice:
    """Put the verdict on one picture into words."""
    first, *_ = ranked(prediction)
    name, other = class_name(first[0]), runner_up(prediction)
    if prediction.verdict == "confident":
        return Advice(
            "Confident",
            ":material/check_circle:",
            "green",
            name,
            f"The model is sure ({percent(first[1])}). Confirm it, or say what it is.",
        )
    if prediction.verdict == "unsure":
        perhaps = f", perhaps {class_name(other[0])} ({percent(other[1])})" if other else UNFAMILIAR
        perhaps = DOUBTS.get(prediction.doubt, perhaps)
        return Advice(
            "Unsure",
            ":material/help:",
            "orange",
            f"{name}?",
            f"Probably {name} ({percent(first[1])}){perhaps}. Please look and say which it is.",
        )
    return Advice(
        "Unknown",
        ":material/question_mark:",
        "violet",
        "None of the known classes?",
        f"It is unlike what the model has learned, and {name} would be a guess. "
        "Please say what it is, or none of these.",
    )


def familiarity(prediction: Prediction) -> str:
    """Say whether the model knows such pictures, and what that means for its answer."""
    name = class_name(prediction.label)
    if prediction.verdict == "unknown":
        return (
            "The picture has little in common with those that the model learned from. The "
            f"percentages only compare the classes: {name} is the closest, and still not "
            "believable."
        )
    if prediction.doubt:
        return (
            f"By its looks the model knows such pictures well, as {name}{DOUBTS[prediction.doubt]}."
        )
    if prediction.verdict == "unsure":
        if other := runner_up(prediction):
            fits = f"both {name} and {class_name(other[0])} fit this one"
            return f"The model knows such pictures, but {fits}."
        return (
            f"It looks most like {name}, but somewhat unlike the pictures the model learned from."
        )
    return f"The model knows such pictures well, and {name} clearly fits best."


def unfamiliarity(*, ood_score: float, limit: float) -> str:
    """Explain the number behind `familiarity`, for those who want it."""
    return (
        f"Unfamiliarity {ood_score:.2f}. The lower, the more it is like what the model learned "
        f"from. From {limit:.2f} on the model says unknown, whatever the percentages are."
    )


def ranked(prediction: Prediction) -> list[tuple[str, float]]:
    """Sort classes with their probabilities, the likeliest first, ties by name."""
    return sorted(prediction.probabilities.items(), key=lambda item: (-item[1], item[0]))


def runner_up(prediction: Prediction) -> tuple[str, float] | None:
    """Give the second likeliest class, if it is likely enough to be named."""
    _, *rest = ranked(prediction)
    return rest[0] if rest and rest[0][1] >= RUNNER_UP else None


def need(prediction: Prediction) -> tuple[int, float]:
    """Make a sort key: unknown first, then unsure, then the rest, the least sure first."""
    return NEED[prediction.verdict], prediction.confidence


def count_of(n: int, noun: str) -> str:
    """Write a number with its noun: 1 picture, 2 pictures."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def ago(at: str | datetime, now: datetime) -> str:
    """Say how long ago a time (ISO 8601 or a datetime, with zone) is, in the largest whole unit."""
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    seconds = (now - moment).total_seconds()
    for length, unit in UNITS:
        if (count := int(seconds // length)) >= 1:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def day_and_time(at: str | datetime) -> str:
    """Write a time as 2026-11-23 07:15 UTC."""
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    return f"{moment:%Y-%m-%d %H:%M} UTC"
