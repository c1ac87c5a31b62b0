"""The gate's answer as data: checks with their numbers, and a decision.

`core.gate.words` tells it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Against = Literal["champion", "reference", ""]

SERVING_PATH: Final = "serving path"  # kinds of checks
LABEL_ORDER: Final = "label order"
GOLDEN: Final = "golden predictions"
LATENCY: Final = "latency"
PICTURES: Final = "pictures"  # not worse on one kind of picture
CLASS: Final = "class"  # not worse on one class of the base test
CORRECTIONS: Final = "held-out corrections"
CONFIDENT: Final = "confident share"
ACCEPTANCE: Final = "acceptance set"
CALIBRATION: Final = "calibration"
IMPLANTS: Final = "implanted parts"  # of corrected pictures, that turn others into their class

NOT_MEASURED: Final = "not measured"  # findings that numbers don't tell
NO_REFERENCE: Final = "no reference"
BELOW_FLOOR: Final = "below its floor"


@dataclass(frozen=True, slots=True)
class Check:
    """One rule and how it came out."""

    kind: str  # which rule; a report of another medloop version may hold one that this doesn't know
    subject: str  # pictures, class or acceptance set that it's about; "" if the kind says it
    against: Against
    passed: bool
    numbers: Mapping[str, float] = field(default_factory=dict)
    finding: str = ""  # why it failed, if the numbers don't say
    details: tuple[str, ...] = ()  # texts from outside: an error, labels


@dataclass(frozen=True, slots=True)
class Decision:
    """The gate's answer."""

    passed: bool
    checks: tuple[Check, ...]
