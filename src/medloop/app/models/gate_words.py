"""The gate's report in words that a radiographer reads. Pure: reports in, sentences out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from medloop.app.kit.wording import class_name, count_of, day_and_time, percent
from medloop.core.corrections.events import Promotion
from medloop.core.gate.decision import Check, Finding, Kind
from medloop.core.gate.report import GateReport

NAMES: Final[Mapping[tuple[str, str], str]] = {  # what a check is about, by kind and subject
    (Kind.PICTURES, "base test"): "All test pictures",
    (Kind.PICTURES, "corrupted images"): "Test pictures with noise, blur or other faults added",
    (Kind.PICTURES, "unknown images kept out"): "Pictures of something else, to be called unknown",
    (Kind.PICTURES, "base test kept as known"): "Test pictures, not to be called unknown",
    (Kind.PICTURES, "all test images together"): "All kinds of test pictures together",
    (Kind.THRESHOLD, ""): "The limit from which it says unknown",
    (Kind.CORRECTIONS, ""): "Corrections that no version has learned from",
    (Kind.IMPLANTS, ""): "Parts of corrected pictures, put onto test pictures",
    (Kind.CONFIDENT, "base test"): "Test pictures, right and confident",
    (Kind.CONFIDENT, "corrupted images"): "Test pictures with faults, right and confident",
}
FINDINGS: Final[Mapping[str, str]] = {
    Finding.NOT_MEASURED: "it could not be measured",
    Finding.NO_REFERENCE: "there is no reference version to compare with",
}


@dataclass(frozen=True, slots=True)
class CheckRow:
    """A rule of the gate."""

    name: str
    passed: bool
    sentence: str
    observed: float | None  # accuracy points lost, negative if gained
    bound: float | None  # of what is lost, points
    margin: float | None  # that is allowed, points


def check_rows(report: GateReport) -> list[CheckRow]:
    """List the gate's rules with what was found, those that failed first."""
    return sorted(map(_row, report.decision.checks), key=lambda row: row.passed)


def verdict(report: GateReport) -> str:
    """Say the gate's decision in a sentence."""
    checks = report.decision.checks
    against = f"version {report.version}, against version {report.champion_version}"
    if report.passed:
        return f"The gate said yes to {against}: all {len(checks)} checks passed."
    failed = sum(not check.passed for check in checks)
    return f"The gate said no to {against}: {failed} of {count_of(len(checks), 'check')} failed."


def why_not(report: GateReport) -> str:
    """Say the first check that failed, and how many more did; "" if none did."""
    failed = [row.sentence for row in check_rows(report) if not row.passed]
    more = f" ({len(failed) - 1} more)" if len(failed) > 1 else ""
    return f"{failed[0]}{more}" if failed else ""


def explain_standing(
    report: GateReport, *, champion: str | None, moves: Sequence[Promotion]
) -> str:
    """Say why a version that passed doesn't answer, or one that failed does; "" if that's plain."""
    version = report.version
    if version == champion:
        forced = "It answers all the same: somebody promoted it by hand."
        return "" if report.passed else forced
    if not report.passed:
        return ""
    if not champion:
        return "No version answers just now."
    since = next((move for move in reversed(moves) if move.to_version == champion), None)
    if any(move.to_version == version for move in moves):
        when = f" since {day_and_time(since.at)}: {since.reason}" if since else "."
        return f"It has answered for a while; version {champion} answers{when}"
    if champion != report.champion_version:
        return f"By now version {champion} answers, and that is not the one it was tested against."
    return (
        f"Version {champion} still answers: nobody has let version {version} take over yet. The "
        "weekly training does that by itself; an administrator can do it here with “Promote by "
        "hand”."
    )


def _row(check: Check) -> CheckRow:
    numbers = check.numbers
    measured = numbers.get("n") and "lost" in numbers
    net = numbers["lost"] - numbers["gained"] if measured else 0.0
    return CheckRow(
        name=_name(check),
        passed=check.passed,
        sentence=_sentence(check),
        observed=100 * net / numbers["n"] if measured else None,
        bound=_points(numbers.get("bound")),
        margin=_points(numbers.get("excluded", numbers.get("margin"))),
    )


def about(check: Check) -> str:
    """Name the pictures that a check is about, whatever it compares with."""
    if check.kind == Kind.CLASS and check.subject:
        return class_name(check.subject)
    known = NAMES.get((check.kind, check.subject))
    return known or f"{check.kind} {check.subject}".strip().capitalize()


def slice_scores(check: Check) -> dict[str, float]:
    """Give the challenger's share right by kind of picture; {} if the check is of none."""
    if check.kind == Kind.THRESHOLD and check.numbers:
        ends = {"base test kept as known": "known", "unknown images kept out": "unknown"}
        return {NAMES[Kind.PICTURES, name]: check.numbers[key] for name, key in ends.items()}
    if check.kind in {Kind.PICTURES, Kind.CORRECTIONS} and "right" in check.numbers:
        return {about(check): check.numbers["right"]}
    return {}


def _name(check: Check) -> str:
    return about(check) + (" (against the reference)" if check.against == "reference" else "")


def _sentence(check: Check) -> str:
    if check.finding in FINDINGS:
        return f"{_name(check)}: {FINDINGS[check.finding]}."
    try:
        return SENTENCES[check.kind](check)
    except (KeyError, IndexError):  # the report of another medloop version
        told = "; ".join(check.details) or ("passed" if check.passed else "failed")
        return f"{_name(check)}: {told}."


def _comparison(check: Check) -> str:
    numbers = check.numbers
    now, before = (percent(numbers[name], places=1) for name in ("right", "right_before"))
    of = f" of {count_of(int(numbers['n']), 'picture')}" if numbers.get("n") else ""
    told = f"{_name(check)}: {now} right, before {before}{of}."
    if check.finding == Finding.BELOW_FLOOR:
        return f"{told} At least {percent(numbers['floor'])} must be."
    return f"{told}{_reason(check)}"


def _reason(check: Check) -> str:
    """Say why a comparison failed: evidence of a loss, or too little evidence against one."""
    if check.passed:
        return ""
    if check.finding == Finding.WORSE:
        return " That is hardly chance: it is worse."
    bound, margin = (_points(check.numbers.get(name)) for name in ("bound", "margin"))
    if check.finding == Finding.TOO_LITTLE or bound is None or margin is None:
        return " These pictures are too few to be sure that it is not much worse."
    return f" It may have lost {bound:.1f} points; for this many pictures {margin:.1f} are allowed."


def _threshold(check: Check) -> str:
    known, known_before, unknown, unknown_before = (
        percent(check.numbers[name], places=1)
        for name in ("known", "known_before", "unknown", "unknown_before")
    )
    low = check.finding == Finding.BELOW_FLOOR
    reason = " One of the two is too low." if low else _reason(check)
    return (
        f"{_name(check)}: {known} of the test pictures are not called unknown, before "
        f"{known_before}; {unknown} of pictures of something else are, before {unknown_before}."
        f"{reason}"
    )


def _serving_path(check: Check) -> str:
    if check.passed:
        return "The model file opens and answers here."
    return f"The model file does not open or answer here: {check.details[0]}."


def _label_order(check: Check) -> str:
    if not check.passed:
        return "It has the old version's classes in another order, or lacks some."
    new = ", ".join(map(class_name, check.details))
    added = f" and new ones: {new}" if new else ""
    return f"It knows the same classes in the same order{added}."


def _golden(check: Check) -> str:
    if check.passed:
        return "It answers here as it did right after its training."
    return (
        "It does not answer here as it did right after its training: another file, or prepared "
        "otherwise."
    )


def _latency(check: Check) -> str:
    new, old = check.numbers["challenger_ms"], check.numbers["champion_ms"]
    return f"One picture takes {new:.1f} ms, with the old version {old:.1f} ms."


def _corrections(check: Check) -> str:
    return _comparison(check) if check.numbers else "No corrections are kept for testing yet."


def _acceptance(check: Check) -> str:
    now, before, floor = (
        percent(check.numbers[name], places=1) for name in ("accuracy", "champion", "floor")
    )
    return f"Acceptance set {check.subject}: {now} right, before {before}; {floor} are asked for."


def _calibration(check: Check) -> str:
    off, before, wrong = (
        percent(check.numbers[name], places=1)
        for name in ("challenger_ece", "champion_ece", "challenger_confident_errors")
    )
    told = (
        f"Its percentages are off by {off} on average, before by {before}; "
        f"{wrong} of its confident answers are wrong"
    )
    return f"{told}." if check.passed else f"{told}: too much."


def _confident(check: Check) -> str:
    now, before, limit = (
        percent(check.numbers[name], places=1) for name in ("confident", "champion", "limit")
    )
    told = f"{about(check)}: {now}, before {before}"
    return f"{told}." if check.passed else f"{told}; at least {limit} must be."


def _implants(check: Check) -> str:
    if not check.numbers:
        return "Too few corrections to look for parts of pictures that mislead it."
    label, part = class_name(check.details[0]), check.details[1]
    turned, before = (
        percent(check.numbers[name], places=1) for name in ("turned", "turned_before")
    )
    return (
        f"With the {part} of pictures corrected to {label}, it calls {turned} of other pictures "
        f"{label}, before {before}."
    )


SENTENCES: Final[Mapping[str, Callable[[Check], str]]] = {
    Kind.SERVING_PATH: _serving_path,
    Kind.LABEL_ORDER: _label_order,
    Kind.GOLDEN: _golden,
    Kind.LATENCY: _latency,
    Kind.PICTURES: _comparison,
    Kind.CLASS: _comparison,
    Kind.THRESHOLD: _threshold,
    Kind.CORRECTIONS: _corrections,
    Kind.CALIBRATION: _calibration,
    Kind.CONFIDENT: _confident,
    Kind.ACCEPTANCE: _acceptance,
    Kind.IMPLANTS: _implants,
}


def _points(share: float | None) -> float | None:
    return 100 * share if share is not None and math.isfinite(share) else None
