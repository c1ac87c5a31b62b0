"""The gate report: what was compared, the decision, and the scores, as JSON.

Knows neither where it is stored nor how it was measured.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from medloop.core.gate import words
from medloop.core.gate.decision import Check, Decision
from medloop.core.gate.old_report import read_old_check
from medloop.errors import StoreError

if TYPE_CHECKING:
    from medloop.core.gate.evaluation import Scores

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class ChangedAnswer:
    """A picture that the challenger answers otherwise than the champion."""

    image_sha256: str
    before: str  # a class, or unknown
    after: str


@dataclass(frozen=True, slots=True)
class RecentPictures:
    """The real pictures of the last days that are kept: for people to look at, not for a check."""

    days: int
    pictures: int
    changed: tuple[ChangedAnswer, ...]


@dataclass(frozen=True, slots=True)
class GateReport:
    """A pass through the gate. Versions are the registry's."""

    key: str  # hash of what was compared: the same comparison has the same key
    version: str
    champion_version: str
    reference_version: str | None
    snapshot_id: str
    base_id: str
    at: str  # ISO 8601, UTC
    decision: Decision
    # By role: challenger, champion, reference; {} if the challenger's file doesn't load.
    scores: Mapping[str, Mapping[str, Any]]
    recent: RecentPictures | None = None  # None: not looked at

    @property
    def passed(self) -> bool:
        """Tell if the gate said yes."""
        return self.decision.passed

    def to_dict(self) -> dict[str, Any]:
        """Lay the report out as JSON holds it, with its words for people; nothing reads those."""
        body = {name: getattr(self, name) for name in self.__dataclass_fields__}
        decision = {
            "passed": self.passed,
            "checks": [_check_dict(check) for check in self.decision.checks],
            "reasons": list(words.reasons(self)),
        }
        recent = asdict(self.recent) if self.recent else None
        return {"schema": SCHEMA_VERSION, **body, "decision": decision, "recent": recent}

    def to_json(self) -> bytes:
        """Write readable JSON with sorted keys."""
        return json.dumps(
            self.to_dict(), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False
        ).encode()

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """Read what `to_json` wrote, this one or that of a version without `kind`.

        Raises:
            StoreError: The bytes are not such a report.
        """
        try:
            body = json.loads(raw)
            body = {"recent": None, **body}  # which older reports lack
            known = {name: body[name] for name in cls.__dataclass_fields__}
            checks = tuple(map(_read_check, known["decision"]["checks"]))
            decision = Decision(bool(known["decision"]["passed"]), checks)
            return cls(**{**known, "decision": decision, "recent": _read_recent(known["recent"])})
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(f"not a gate report: {type(error).__name__} {error}") from error


def _read_recent(body: Mapping[str, Any] | None) -> RecentPictures | None:
    if body is None:
        return None
    changed = tuple(ChangedAnswer(**item) for item in body["changed"])
    return RecentPictures(body["days"], body["pictures"], changed)


def scores_dict(scores: Scores) -> dict[str, Any]:
    """Lay scores out as JSON holds them: numbers that are not finite become null."""
    body = {**asdict(scores), "confusion": scores.confusion.tolist()}
    return {name: _finite(value) for name, value in body.items()}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return list(map(_finite, value))
    return None if isinstance(value, float) and not math.isfinite(value) else value


def flat_metrics(role: str, scores: Mapping[str, Any]) -> dict[str, float]:
    """Name scores as MLflow's metrics, such as `challenger/accuracy`, `challenger/recall/Hand`."""
    plain = {
        f"{role}/{name}": value for name, value in scores.items() if isinstance(value, int | float)
    }
    for entry in scores["classes"]:
        for name in ("recall", "precision", "f1"):
            plain[f"{role}/{name}/{metric_name(entry['label'])}"] = entry[name]
    return plain


def metric_name(label: str) -> str:
    """Spell a label as MLflow takes it in a metric's name."""
    return "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "_-. ") else "_"
        for letter in label
    )


def _check_dict(check: Check) -> dict[str, Any]:
    told = {"name": words.check_name(check), "reason": words.sentence(check)}
    return {**_finite(asdict(check)), **told}


def _read_check(item: Mapping[str, Any]) -> Check:
    numbers = {k: math.nan if v is None else float(v) for k, v in item["numbers"].items()}
    if "kind" not in item:
        return read_old_check(str(item["name"]), bool(item["passed"]), str(item["reason"]), numbers)
    return Check(
        kind=item["kind"],
        subject=item["subject"],
        against=item["against"],
        passed=bool(item["passed"]),
        numbers=numbers,
        finding=item.get("finding", ""),
        details=tuple(item.get("details", ())),
    )
