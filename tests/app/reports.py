"""A gate report in the shape of `medloop.core.gate.report`."""

from __future__ import annotations

from typing import Any

from medloop.core.gate.decision import Check, Decision, Kind
from medloop.core.gate.report import GateReport


def report(*, passed: bool, base_id: str = "base") -> GateReport:
    """Two classes, two checks; the second one always passes."""
    numbers = {
        "n": 200.0,
        "lost": 5.0,
        "gained": 1.0,
        "bound": 0.04,
        "margin": 0.01,
        "right": 0.95,
        "right_before": 0.97,
    }
    checks = (
        Check(Kind.PICTURES, "base test", "champion", passed, numbers),
        Check(Kind.SERVING_PATH, "", "", True),
    )
    return GateReport(
        key="k",
        version="2",
        champion_version="1",
        reference_version="1",
        snapshot_id="s",
        base_id=base_id,
        at="2026-11-02T10:00:00+00:00",
        decision=Decision(passed=passed, checks=checks),
        scores={"challenger": scores(), "champion": scores()},
    )


def scores() -> dict[str, Any]:
    return {
        "n": 200,
        "accuracy": 0.95,
        "balanced_accuracy": 0.95,
        "ece": 0.01,
        "confident_share": 0.9,
        "confident_errors": 0.0,
        "classes": [
            {"label": label, "n": 100, "recall": 0.9, "precision": 0.9, "f1": 0.9}
            for label in ("CXR", "ChestCT")
        ],
        "confusion": [[90, 10], [0, 100]],
        "reliability": [{"low": 0.9, "high": 1.0, "n": 200, "confidence": 0.95, "accuracy": 0.95}],
    }
