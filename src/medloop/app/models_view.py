"""Model versions, scores, gate reports and promotions as rows and sentences. Pure: records in, view models out."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from medloop.app.verdicts import class_name
from medloop.core.events import Promotion
from medloop.stores.registry import ModelVersion

REPORT_FILE: Final = "gate/report.json"  # of `medloop.jobs.evaluate`, which is too heavy to import for a name
OVERALL: Final[Mapping[str, str]] = {  # metrics of a run that say how good a version is, the first that is there counts
    "challenger/accuracy": "all classes",
    "validation_accuracy": "all classes",
}
RECALL: Final = "challenger/recall/"
VERBS: Final[Mapping[str, str]] = {
    "bootstrap": "became the first champion",
    "promote": "was promoted",
    "rollback": "was brought back",
}


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version as the table shows it."""

    version: str
    roles: tuple[str, ...]  # champion, challenger, reference
    created_at: datetime
    gate: str  # "yes", "no" or "" where it was never judged
    reasons: tuple[str, ...]
    corrections: str  # how many it learned from
    accuracy: float | None
    run_id: str


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One rule of the gate."""

    name: str
    passed: bool
    reason: str
    observed: float | None  # accuracy points lost, negative where gained
    bound: float | None  # of what is lost, points
    margin: float | None  # that is allowed, points


def version_row(version: ModelVersion) -> VersionRow:
    """What the registry's tags say."""
    tags = version.tags
    return VersionRow(
        version=version.version,
        roles=tuple(sorted(set(version.aliases) - ({"challenger"} if "champion" in version.aliases else set()))),
        created_at=version.created_at,
        gate=tags.get("gate", ""),
        reasons=tuple(filter(None, tags.get("gate_reasons", "").split("\n"))),
        corrections=tags.get("corrections", "0"),
        accuracy=_number(tags.get("accuracy")),
        run_id=version.run_id,
    )


def metric_points(versions: Iterable[tuple[str, Mapping[str, float]]]) -> list[dict[str, Any]]:
    """Points of the plot over versions: one a version and class, and one for all classes together."""
    points = []
    for version, metrics in versions:
        overall = next((metrics[name] for name in OVERALL if name in metrics), None)
        if overall is not None:
            points.append({"version": int(version), "what": "all classes", "score": overall})
        for name, value in sorted(metrics.items()):
            if name.startswith(RECALL):
                points.append({"version": int(version), "what": class_name(name.removeprefix(RECALL)), "score": value})
    return points


def slice_points(reports: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Points of the plot by slice: one a judged version and slice; classes have a plot of their own."""
    points = []
    for report in reports:
        for check in report["decision"]["checks"]:
            right = check["numbers"].get("right")
            if right is not None and not check["name"].startswith("class ") and "the reference" not in check["name"]:
                name = check["name"].removesuffix(" against the champion")
                points.append({"version": int(report["version"]), "what": name, "score": right})
    return sorted(points, key=lambda point: point["version"])


def parse_report(raw: bytes) -> dict[str, Any]:
    """A gate report as `medloop.core.report` writes it."""
    report: dict[str, Any] = json.loads(raw)
    return report


def check_rows(report: Mapping[str, Any]) -> list[CheckRow]:
    """The gate's rules with what was found, those that failed first."""
    rows = []
    for check in report["decision"]["checks"]:
        numbers = check["numbers"]
        lost, gained, n = (numbers.get(name) for name in ("lost", "gained", "n"))
        observed = 100 * (lost - gained) / n if n and lost is not None and gained is not None else None
        rows.append(
            CheckRow(
                name=check["name"],
                passed=bool(check["passed"]),
                reason=check["reason"],
                observed=observed,
                bound=_points(numbers.get("bound")),
                margin=_points(numbers.get("margin")),
            )
        )
    return sorted(rows, key=lambda row: row.passed)


def verdict(report: Mapping[str, Any]) -> str:
    """The gate's decision in a sentence."""
    decision = report["decision"]
    against = f"against version {report['champion_version']}"
    failed = [check["name"] for check in decision["checks"] if not check["passed"]]
    if decision["passed"]:
        return (
            f"The gate said yes to version {report['version']}, {against}: all {len(decision['checks'])} checks passed."
        )
    return f"The gate said no to version {report['version']}, {against}: {', '.join(failed)}."


def confusion_cells(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The confusion matrix as cells: truth, answer, how many, and the share of the truth."""
    labels = [class_name(entry["label"]) for entry in scores["classes"]]
    cells = []
    for truth, row in zip(labels, scores["confusion"], strict=True):
        total = sum(row)
        for answer, count in zip(labels, row, strict=True):
            share = count / total if total else 0.0
            cells.append({"truth": truth, "answer": answer, "count": count, "share": share, "right": truth == answer})
    return cells


def reliability_points(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Confidence against accuracy, for champion and challenger."""
    return [
        {"model": role, "confidence": part["confidence"], "accuracy": part["accuracy"], "n": part["n"]}
        for role in ("champion", "challenger")
        for part in report["scores"].get(role, {}).get("reliability", ())
    ]


def promotion_sentence(move: Promotion) -> str:
    """One line of the timeline."""
    instead = f" instead of version {move.from_version}" if move.from_version else ""
    return f"Version {move.to_version} {VERBS[move.action]}{instead}, by {move.by}: {move.reason}"


def promotion_points(moves: Sequence[Promotion]) -> list[dict[str, Any]]:
    """The champion over time, a step a move."""
    return [
        {"at": move.at, "version": int(move.to_version), "what": VERBS[move.action], "by": move.by, "why": move.reason}
        for move in moves
    ]


def _points(share: float | None) -> float | None:
    return 100 * share if share is not None and math.isfinite(share) else None


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
