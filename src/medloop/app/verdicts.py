"""What the model's answer means, in words that say what to do next. Pure: predictions in, sentences out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from medloop.core.predict import Prediction, Verdict

Color = Literal["green", "orange", "violet"]

NONE_OF_THESE: Final = "None of these"
RUNNER_UP: Final = 0.05  # a less likely second class is not worth naming
UNFAMILIAR: Final = ", but the picture is somewhat unlike what the model has learned"
NEED: Final[Mapping[Verdict, int]] = {"unknown": 0, "unsure": 1, "confident": 2}
SPELLED_OUT: Final[Mapping[str, str]] = {"CXR": "Chest X-ray"}  # abbreviations that not everybody reads
WORD_STARTS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_")


@dataclass(frozen=True, slots=True)
class Advice:
    """One verdict as a person reads it."""

    word: str  # one word for a badge
    icon: str  # Streamlit material icon; the verdict is never told by colour alone
    color: Color
    headline: str
    sentence: str  # what it means and what to do


def class_name(label: str | None) -> str:
    """A class label as people write it: "AbdomenCT" becomes "Abdomen CT"; None is "none of these"."""
    if label is None:
        return NONE_OF_THESE
    return SPELLED_OUT.get(label, WORD_STARTS.sub(" ", label).strip())


def percent(probability: float) -> str:
    """A probability for people: never "100 %" or "0 %" unless it is exactly that."""
    if 0.995 <= probability < 1:
        return "over 99 %"
    if 0 < probability < 0.005:
        return "under 1 %"
    return f"{probability * 100:.0f} %"


def advice(prediction: Prediction) -> Advice:
    """The verdict on one picture, in words."""
    first, *rest = ranked(prediction)
    name = class_name(first[0])
    if prediction.verdict == "confident":
        return Advice(
            "Confident",
            ":material/check_circle:",
            "green",
            name,
            f"The model is sure ({percent(first[1])}). If that is right, confirm it; if not, say what it is.",
        )
    if prediction.verdict == "unsure":
        likely = rest and rest[0][1] >= RUNNER_UP
        other = f", perhaps {class_name(rest[0][0])} ({percent(rest[0][1])})" if likely else UNFAMILIAR
        return Advice(
            "Unsure",
            ":material/help:",
            "orange",
            f"{name}?",
            f"Probably {name} ({percent(first[1])}){other}. Please look and say which it is.",
        )
    return Advice(
        "Unknown",
        ":material/question_mark:",
        "violet",
        "None of the known classes?",
        f"It is unlike what the model has learned; {name} would be a guess. Please say what it is, or none of these.",
    )


def why_unknown(*, ood_score: float, limit: float) -> str:
    """How far a picture is from what the model knows, against the limit from which it says "unknown"."""
    if ood_score >= limit:
        return (
            f"Unfamiliarity {ood_score:.2f}; from {limit:.2f} on the model does not trust its own answer, "
            "whatever the percentages say."
        )
    return f"Unfamiliarity {ood_score:.2f}; from {limit:.2f} on the model would say unknown."


def ranked(prediction: Prediction) -> list[tuple[str, float]]:
    """Classes with their probabilities, the likeliest first, ties by name."""
    return sorted(prediction.probabilities.items(), key=lambda item: (-item[1], item[0]))


def need(prediction: Prediction) -> tuple[int, float]:
    """Sort key: what needs a person most comes first (unknown, unsure, then the rest, the least sure first)."""
    return NEED[prediction.verdict], prediction.confidence


def count_of(n: int, noun: str) -> str:
    """The number with its noun: 1 picture, 2 pictures."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
