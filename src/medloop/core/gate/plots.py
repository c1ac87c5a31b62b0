"""Plots of a gate report as PNG bytes. matplotlib without pyplot: no window, no global state."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from medloop.core.gate.report import GateReport
from medloop.core.gate.words import check_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE: Final = "#1f6feb"
ORANGE: Final = "#d4722a"
GREY: Final = "#6e7781"
RED: Final = "#cf222e"
DPI: Final = 110


def report_plots(report: GateReport) -> dict[str, bytes]:
    """Draw confusion matrix, reliability diagram and the checks: PNG by file name."""
    return {
        "confusion.png": confusion_plot(report.scores["challenger"]),
        "reliability.png": reliability_plot(report.scores),
        "gate.png": gate_plot(report),
    }


def confusion_plot(scores: Mapping[str, Any]) -> bytes:
    """Draw counts on the base test images; errors stand out, the diagonal stays pale."""
    counts = np.asarray(scores["confusion"])
    labels = [entry["label"] for entry in scores["classes"]]
    figure, axes = _figure(1.6 + 0.75 * len(labels), 1.4 + 0.7 * len(labels))
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    np.fill_diagonal(shares, shares.diagonal() * 0.25)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=0.5)
    for (row, column), count in np.ndenumerate(counts):
        axes.text(column, row, f"{count}" if count else "·", ha="center", va="center", fontsize=9)
    axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="answer", ylabel="truth", title=f"Base test, {scores['n']} images")
    return _png(figure)


def reliability_plot(scores: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Draw accuracy over confidence, a line per model; dots grow with the number of answers."""
    figure, axes = _figure(4.6, 4.4)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--")
    for role, colour in (("champion", GREY), ("challenger", BLUE)):
        bins = scores[role]["reliability"]
        sizes = 12 + 90 * np.sqrt([part["n"] for part in bins]) / np.sqrt(scores[role]["n"])
        x, y = ([part[name] for part in bins] for name in ("confidence", "accuracy"))
        axes.plot(x, y, color=colour, linewidth=1)
        ece = scores[role]["ece"]
        named = f"{role}, ECE {'not a number' if ece is None else f'{ece:.4f}'}"
        axes.scatter(x, y, s=sizes, color=colour, label=named)
    axes.set(
        xlabel="confidence",
        ylabel="share right",
        title="Calibration, base test",
        xlim=(0, 1.02),
        ylim=(0, 1.05),
    )
    axes.legend(loc="upper left", frameon=False)
    return _png(figure)


def gate_plot(report: GateReport) -> bytes:
    """Draw each comparison: accuracy lost as observed, its upper bound, and the margin."""
    rows = [check for check in report.decision.checks if "bound" in check.numbers]
    figure, axes = _figure(7.4, 1.2 + 0.36 * len(rows))
    for y, check in enumerate(reversed(rows)):
        numbers = check.numbers
        observed = 100 * (numbers["lost"] - numbers["gained"]) / max(numbers["n"], 1)
        bound = 100 * numbers["bound"]
        margin = 100 * numbers.get("excluded", numbers.get("margin", np.nan))
        colour = BLUE if check.passed else RED
        axes.plot([observed, max(observed, bound)], [y, y], color=colour, linewidth=2)
        axes.plot([observed], [y], marker="o", color=colour)
        axes.plot([margin], [y], marker="|", markersize=14, color=ORANGE)
    axes.axvline(0, color=GREY, linewidth=1)
    names = [f"{check_name(check)} (n {check.numbers['n']:.0f})" for check in reversed(rows)]
    axes.set_yticks(range(len(rows)), names)
    axes.set(
        xlabel="accuracy lost, points: dot observed, line to its 95 % bound, orange what to exclude"
    )
    return _png(figure)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()
