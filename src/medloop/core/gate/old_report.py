"""Reads checks that older gate reports hold as sentences (gate rules up to 6, 2026)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from medloop.core.gate.decision import Against, Check, Finding, Kind

NAME: Final = re.compile(r"(?P<rest>.*?)(?:,? against the (?P<against>champion|reference))?")
PREFIXED: Final = {
    "class ": Kind.CLASS,
    "acceptance set ": Kind.ACCEPTANCE,
    "confident share, ": Kind.CONFIDENT,
}
PLAIN: Final = {
    Kind.SERVING_PATH,
    Kind.LABEL_ORDER,
    Kind.GOLDEN,
    Kind.LATENCY,
    Kind.CORRECTIONS,
    Kind.CALIBRATION,
}
ERROR: Final = "the model file does not serve: "
NEW: Final = "and new: "
CHALLENGERS: Final = "the challenger's "
NUMBERS_TOLD: Final = {
    Kind.PICTURES,
    Kind.CLASS,
    Kind.CORRECTIONS,
    Kind.CONFIDENT,
    Kind.ACCEPTANCE,
    Kind.CALIBRATION,
}


def read_old_check(
    name: str, passed: bool, reason: str, numbers: Mapping[str, float]
) -> Check:  # the four fields that such a check had
    """Give a check its kind and subject; its sentence stays in `details` if numbers don't tell."""
    match = NAME.fullmatch(name)
    rest = match["rest"] if match else name
    against: Against = "reference" if match and match["against"] == "reference" else ""
    kind, subject = _kind(rest, numbers)
    if not against and kind in {Kind.PICTURES, Kind.CLASS}:
        against = "champion"
    told = reason.removeprefix(f"{name}: ")
    details = () if kind in NUMBERS_TOLD and numbers else _details(kind, passed, told)
    missing = kind in NUMBERS_TOLD and not numbers and not passed
    finding = Finding.NOT_MEASURED if missing else ""
    return Check(kind, subject, against, passed, numbers, finding, details)


def _kind(name: str, numbers: Mapping[str, float]) -> tuple[str, str]:
    for prefix, kind in PREFIXED.items():
        if name.startswith(prefix):
            return kind, name.removeprefix(prefix)
    if name == "confident share":
        return Kind.CONFIDENT, "base test"
    if name in PLAIN:
        return name, ""
    return (Kind.PICTURES, name) if "right" in numbers else (name, "")


def _details(kind: str, passed: bool, reason: str) -> tuple[str, ...]:
    if kind == Kind.SERVING_PATH:
        return () if passed else (reason.removeprefix(ERROR),)
    if kind == Kind.LABEL_ORDER:
        labels = reason.partition(NEW if passed else CHALLENGERS)[2].removesuffix(": reordered")
        return tuple(labels.split(", ")) if labels else ()
    return (reason,)
