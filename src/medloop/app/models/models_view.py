"""Model versions, scores and promotions as rows and sentences.

Pure: records in, view models out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from medloop.app.kit.wording import class_name
from medloop.app.models.gate_words import slice_scores
from medloop.core.corrections.events import Promotion
from medloop.core.gate.report import GateReport
from medloop.stores.registry import ModelVersion

ALL: Final = "all classes"
TESTS: Final[Mapping[str, str]] = {"yes": "passed", "no": "failed"}
VERBS: Final[Mapping[str, str]] = {
    "bootstrap": "became the first champion",
    "promote": "was promoted",
    "rollback": "was brought back",
}


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version as the table shows it."""

    version: str
    roles: tuple[str, ...]  # champion, challenger, reference
    created_at: datetime
    gate: str  # "yes", "no" or "" where it was never judged
    corrections: int  # how many it learned from
    accuracy: float | None  # on the base data set's test pictures
    run_id: str
    base_id: str  # the data set whose test pictures it answered

    @property
    def tests(self) -> str:
        """Sum up its tests in a word."""
        return TESTS.get(self.gate, "")

    @property
    def label(self) -> str:
        """The version and the day of its training, as a chart's axis shows them."""
        return f"{self.version} · {self.created_at.day} {self.created_at:%b}"


def version_row(version: ModelVersion) -> VersionRow:
    """Lay out what the registry's tags say."""
    tags = version.tags
    return VersionRow(
        version=version.version,
        roles=tuple(
            sorted(
                set(version.aliases) - ({"challenger"} if "champion" in version.aliases else set())
            )
        ),
        created_at=version.created_at,
        gate=tags.gate,
        corrections=tags.corrections,
        accuracy=tags.accuracy,
        run_id=version.run_id,
        base_id=tags.base_id,
    )


def score_points(
    rows: Iterable[VersionRow], reports: Mapping[str, GateReport]
) -> list[dict[str, Any]]:
    """Plot accuracy on test pictures over versions: one point for all classes, one per class.

    A version that was never judged itself is known by class from the report of the one that was
    judged against it.
    """
    by_version: dict[str, tuple[str, Any]] = {}  # data set and scores
    for report in reports.values():
        before = report.base_id, report.scores.get("champion")
        by_version.setdefault(report.champion_version, before)
    by_version |= {v: (item.base_id, item.scores.get("challenger")) for v, item in reports.items()}
    points = []
    for row in rows:
        at = {"version": int(row.version), "label": row.label, "base": row.base_id}
        base_id, scores = by_version.get(row.version, (row.base_id, None))
        if row.accuracy is not None:
            points.append({**at, "what": ALL, "score": row.accuracy})
        for entry in (scores or {"classes": ()})["classes"]:
            what = class_name(entry["label"])
            points.append({**at, "base": base_id, "what": what, "score": entry["recall"]})
    return points


def slice_points(
    rows: Iterable[VersionRow], reports: Mapping[str, GateReport]
) -> list[dict[str, Any]]:
    """Plot one point per judged version and slice; classes have a plot of their own."""
    return [
        {
            "version": int(row.version),
            "label": row.label,
            "base": reports[row.version].base_id,
            "what": what,
            "score": score,
        }
        for row in rows
        for check in (reports[row.version].decision.checks if row.version in reports else ())
        if check.against != "reference"
        for what, score in slice_scores(check).items()
    ]


def confusion_cells(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Cut the confusion matrix into cells: truth, answer, count, share of the truth."""
    labels = [class_name(entry["label"]) for entry in scores["classes"]]
    cells = []
    for truth, row in zip(labels, scores["confusion"], strict=True):
        total = sum(row)
        for answer, count in zip(labels, row, strict=True):
            share = count / total if total else 0.0
            cells.append(
                {
                    "truth": truth,
                    "answer": answer,
                    "count": count,
                    "share": share,
                    "right": truth == answer,
                }
            )
    return cells


def reliability_points(report: GateReport) -> list[dict[str, Any]]:
    """Plot confidence against accuracy, for the tested version and the one before."""
    names = {
        "champion": f"version {report.champion_version} (before)",
        "challenger": f"version {report.version}",
    }
    return [
        {
            "model": name,
            "confidence": part["confidence"],
            "accuracy": part["accuracy"],
            "n": part["n"],
        }
        for role, name in names.items()
        for part in report.scores.get(role, {}).get("reliability", ())
    ]


def promotion_sentence(move: Promotion) -> str:
    """Tell one move of the timeline."""
    instead = f" instead of version {move.from_version}" if move.from_version else ""
    return f"Version {move.to_version} {VERBS[move.action]}{instead}, by {move.by}: {move.reason}"


def promotion_points(moves: Sequence[Promotion]) -> list[dict[str, Any]]:
    """Plot the champion over time, a step per move."""
    return [
        {
            "at": move.at,
            "version": int(move.to_version),
            "what": VERBS[move.action],
            "by": move.by,
            "why": move.reason,
        }
        for move in moves
    ]
