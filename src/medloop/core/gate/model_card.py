"""The model card in Markdown: what a version is, what it learned from, how it was judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medloop.core.gate.report import GateReport
from medloop.core.gate.words import sentence
from medloop.core.printable import markdown


@dataclass(frozen=True, slots=True)
class Origin:
    """Origin of a version."""

    model: str
    labels: tuple[str, ...]
    base_id: str
    base_images: int  # trained on
    snapshot_id: str  # "" without corrections
    corrections: Mapping[str, int]  # how many, by what they were used for
    parent_version: str | None  # whose weights it started from
    weights_sha256: str
    config: Mapping[str, Any]
    seconds: float


def model_card(origin: Origin, report: GateReport | None = None) -> str:
    """Write the card; with a report it says how the version was judged."""
    parts = [_head(origin), _data(origin), _judgement(report), _limits(), _training(origin)]
    return "\n\n".join(parts) + "\n"


def _head(origin: Origin) -> str:
    start = (
        f"the weights of version {origin.parent_version}"
        if origin.parent_version
        else "random weights"
    )
    return (
        f"# {origin.model}\n\nA small convolutional network that says what a medical image shows: "
        f"{', '.join(markdown(label) for label in origin.labels)}, or none of these. It takes one "
        "grey "
        f"image of 64×64 pixels and starts from {start}."
    )


def _data(origin: Origin) -> str:
    rows = [f"| base data set `{origin.base_id}` | {origin.base_images} images trained on |"]
    rows += [
        f"| corrections, {use} | {count} |" for use, count in sorted(origin.corrections.items())
    ]
    snapshot = f"Snapshot `{origin.snapshot_id}`." if origin.snapshot_id else "No corrections yet."
    return f"## Data\n\n{snapshot}\n\n| what | how many |\n|---|---|\n" + "\n".join(rows)


def _judgement(report: GateReport | None) -> str:
    if report is None:
        return "## Evaluation\n\nNot judged yet."
    checks = "\n".join(
        f"| {'yes' if check.passed else '**no**'} | {markdown(sentence(check))} |"
        for check in report.decision.checks
    )
    gate = (
        f"### The gate said {'yes' if report.passed else 'no'}\n\n"
        f"Against champion version {report.champion_version} and reference version "
        f"{report.reference_version or 'none'}, on the same images.\n\n"
        f"| passed | check |\n|---|---|\n{checks}"
    )
    if "challenger" not in report.scores:
        return f"## Evaluation\n\nThis version gave no answers that could be scored.\n\n{gate}"
    return (
        f"## Evaluation\n\n{_scores(report.scores['challenger'])}\n\n{gate}\n\n"
        "![What each check found](plots/gate.png)\n\n"
        "![Confusion matrix](plots/confusion.png) ![Calibration](plots/reliability.png)"
    )


def _scores(scores: Mapping[str, Any]) -> str:
    classes = "\n".join(
        f"| {markdown(c['label'])} | {c['n']} | {c['recall']:.4f} | {c['precision']:.4f} |"
        for c in scores["classes"]
    )
    ece = "not a number" if scores["ece"] is None else f"{scores['ece']:.4f}"
    return (
        f"Base test groups that no model trained on: {scores['n']} images, accuracy "
        f"{scores['accuracy']:.4f}, expected calibration error {ece}.\n\n"
        f"| class | images | recall | precision |\n|---|---|---|---|\n{classes}"
    )


def _limits() -> str:
    return (
        "## What it is not for\n\nNo diagnosis and no finding. It sorts images for archives and "
        "routers, where a person can correct it. On scanners unlike its data it should say "
        '"unsure" or "unknown"; how well it does there is measured by acceptance sets, which each '
        "site adds for itself."
    )


def _training(origin: Origin) -> str:
    rows = "\n".join(f"| {name} | {value} |" for name, value in origin.config.items())
    return (
        f"## Training\n\nTook {origin.seconds:.0f} s; weights `{origin.weights_sha256}`.\n\n"
        f"| setting | value |\n|---|---|\n{rows}"
    )
