"""What the gate answers: checks with reasons in words, and a decision. Without the statistics that led to it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Check:
    """One rule and how it came out."""

    name: str
    passed: bool
    reason: str
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """The gate's answer."""

    passed: bool
    checks: tuple[Check, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why not; where it passed, what spoke for it."""
        return tuple(check.reason for check in self.checks if check.passed == self.passed)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it: numbers that are not finite become null."""
        body = asdict(self)
        for check in body["checks"]:
            check["numbers"] = {
                k: v if math.isfinite(v) else None for k, v in check["numbers"].items()
            }
        return body
