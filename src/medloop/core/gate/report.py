"""The gate report: what was compared, the decision, and the scores, as JSON and as plots.

Knows neither where it is stored nor how it was measured.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from medloop.core.gate.decision import Check, Decision
from medloop.errors import StoreError

if TYPE_CHECKING:
    from medloop.core.gate.evaluation import Scores

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class GateReport:
    """One pass through the gate. Versions are the registry's."""

    key: str  # hash of what was compared: the same comparison has the same key
    version: str
    champion_version: str
    reference_version: str | None
    snapshot_id: str
    base_id: str
    at: str  # ISO 8601, UTC
    decision: Decision
    scores: Mapping[
        str, Mapping[str, Any]
    ]  # by role: challenger, champion, reference; {} where it does not load

    @property
    def passed(self) -> bool:
        """Whether the gate said yes."""
        return self.decision.passed

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why not; where it said yes, what spoke for it."""
        return self.decision.reasons

    @property
    def summary(self) -> str:
        """The verdict in one sentence, for a ledger or a notice."""
        if not self.passed:
            return f"the gate said no: {'; '.join(self.reasons)}"
        new, old = (self.scores[role]["accuracy"] for role in ("challenger", "champion"))
        corrections = [
            check.reason for check in self.decision.checks if check.name == "held-out corrections"
        ]
        return "; ".join(
            [
                f"the gate said yes: base test {100 * new:.2f} % right, before {100 * old:.2f} %",
                *corrections,
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        body = {name: getattr(self, name) for name in self.__dataclass_fields__}
        decision = {**self.decision.to_dict(), "reasons": list(self.reasons)}
        return {"schema": SCHEMA_VERSION, **body, "decision": decision}

    def to_json(self) -> bytes:
        """Readable JSON with sorted keys."""
        return json.dumps(
            self.to_dict(), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False
        ).encode()

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """Read what `to_json` wrote.

        Raises:
            StoreError: The bytes are not such a report.
        """
        try:
            body = json.loads(raw)
            checks = tuple(_check(item) for item in body["decision"]["checks"])
            known = {name: body[name] for name in cls.__dataclass_fields__}
            return cls(
                **{
                    **known,
                    "decision": Decision(passed=bool(body["decision"]["passed"]), checks=checks),
                }
            )
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(f"not a gate report: {type(error).__name__} {error}") from error


def scores_dict(scores: Scores) -> dict[str, Any]:
    """Scores as JSON holds them: numbers that are not finite become null."""
    body = {**asdict(scores), "confusion": scores.confusion.tolist()}
    return {name: _finite(value) for name, value in body.items()}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(map(_finite, value))
    return None if isinstance(value, float) and not math.isfinite(value) else value


def flat_metrics(role: str, scores: Mapping[str, Any]) -> dict[str, float]:
    """Scores as MLflow's metrics, such as `challenger/accuracy` and `challenger/recall/Hand`."""
    plain = {
        f"{role}/{name}": value for name, value in scores.items() if isinstance(value, int | float)
    }
    for entry in scores["classes"]:
        for name in ("recall", "precision", "f1"):
            plain[f"{role}/{name}/{metric_name(entry['label'])}"] = entry[name]
    return plain


def metric_name(label: str) -> str:
    """A label as MLflow takes it in a metric's name."""
    return "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "_-. ") else "_"
        for letter in label
    )


def _check(item: Mapping[str, Any]) -> Check:
    numbers = {
        name: math.nan if value is None else float(value) for name, value in item["numbers"].items()
    }
    return Check(
        name=item["name"], passed=bool(item["passed"]), reason=item["reason"], numbers=numbers
    )
