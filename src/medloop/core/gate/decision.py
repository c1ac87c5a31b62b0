"""The gate's answer as data: checks with their numbers, and a decision.

`core.gate.words` tells it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

Against = Literal["champion", "reference", ""]


class Kind(StrEnum):
    """Which rule a check is."""

    SERVING_PATH = "serving path"
    LABEL_ORDER = "label order"
    GOLDEN = "golden predictions"
    LATENCY = "latency"
    PICTURES = "pictures"  # not worse on one kind of picture
    THRESHOLD = "threshold for unknown"  # both of its ends
    CLASS = "class"  # not worse on one class of the base test
    CORRECTIONS = "held-out corrections"
    CONFIDENT = "confident share"
    ACCEPTANCE = "acceptance set"
    CALIBRATION = "calibration"
    IMPLANTS = "implanted parts"  # of corrected pictures, that turn others into their class


class Finding(StrEnum):
    """Why a check failed, if its numbers don't tell."""

    NOT_MEASURED = "not measured"
    NO_REFERENCE = "no reference"
    BELOW_FLOOR = "below its floor"
    WORSE = "evidence of a relevant loss"
    TOO_LITTLE = "too little evidence to exclude a loss"


@dataclass(frozen=True, slots=True)
class Check:
    """A rule and its outcome."""

    kind: str  # a `Kind`, or one that only another medloop version knows
    subject: str  # pictures, class or acceptance set that it's about; "" if the kind says it
    against: Against
    passed: bool
    numbers: Mapping[str, float] = field(default_factory=dict)
    finding: str = ""  # a `Finding`
    details: tuple[str, ...] = ()  # texts from outside: an error, labels


@dataclass(frozen=True, slots=True)
class Decision:
    """The gate's answer."""

    passed: bool
    checks: tuple[Check, ...]
