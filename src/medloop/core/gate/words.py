"""The gate's report in words for operators: terminal, model card, ledger.

The page has words of its own.

Nothing reads these words back: decisions, pages and commands go by `Check`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from medloop.core.gate.decision import Check, Finding, Kind

if TYPE_CHECKING:
    from medloop.core.gate.report import GateReport

FINDINGS: Final[Mapping[str, str]] = {
    Finding.NOT_MEASURED: "not measured, and no model is let through without",
    Finding.NO_REFERENCE: "there is no reference version to compare with: run `medloop bootstrap`",
}


def check_name(check: Check) -> str:
    """Name a check in a table or a plot."""
    name = (
        check.subject if check.kind == Kind.PICTURES else f"{check.kind} {check.subject}".rstrip()
    )
    return f"{name}, against the {check.against}" if check.against else name


def found(check: Check) -> str:
    """Say what a check found, without its name."""
    if check.finding in FINDINGS:
        return FINDINGS[check.finding]
    try:
        return SENTENCES[check.kind](check)
    except (KeyError, IndexError):  # the report of another medloop version
        return "; ".join(check.details) or ("passed" if check.passed else "failed")


def sentence(check: Check) -> str:
    """Say what a check found."""
    return f"{check_name(check)}: {found(check)}"


def reasons(report: GateReport) -> tuple[str, ...]:
    """Say why not; if it passed, what spoke for it."""
    checks = report.decision.checks
    return tuple(sentence(check) for check in checks if check.passed == report.passed)


def summary(report: GateReport) -> str:
    """Say the verdict in one sentence, for a ledger or a notice."""
    if not report.passed:
        return f"the gate said no: {'; '.join(reasons(report))}"
    new, old = (report.scores[role]["accuracy"] for role in ("challenger", "champion"))
    verdict = f"the gate said yes: base test {percent(new)} right, before {percent(old)}"
    corrections = [sentence(c) for c in report.decision.checks if c.kind == Kind.CORRECTIONS]
    return "; ".join([verdict, *corrections])


def recent(report: GateReport) -> str:
    """Say how many recent real pictures get another answer; "" if none were looked at."""
    found = report.recent
    if found is None or not found.pictures:
        return ""
    pictures = f"{found.pictures} pictures corrected or confirmed in the last {found.days} days"
    return f"{len(found.changed)} of {pictures} get another answer"


def _serving_path(check: Check) -> str:
    if check.passed:
        return "the model file loads and keeps the contract"
    return f"the model file does not serve: {check.details[0]}"


def _label_order(check: Check) -> str:
    if not check.passed:
        return f"the champion's classes are reordered or gone: {', '.join(check.details)}"
    new = f", and new: {', '.join(check.details)}" if check.details else ""
    return f"the champion's classes in the same order{new}"


def _golden(check: Check) -> str:
    error = f"served probabilities are within {check.numbers['error']:.1e} of those at training"
    return error if check.passed else f"{error}: another file, or another preprocessing"


def _latency(check: Check) -> str:
    new, old = check.numbers["challenger_ms"], check.numbers["champion_ms"]
    slow = "" if check.passed else ": too slow"
    return f"one image takes {new:.2f} ms, the champion {old:.2f} ms{slow}"


def _not_worse(check: Check) -> str:
    numbers = check.numbers
    right = f"{percent(numbers['right'])} right, before {percent(numbers['right_before'])}"
    counts = f"lost {numbers['lost']:.0f}, gained {numbers['gained']:.0f}"
    told = f"{right}, of {numbers['n']:.0f} images ({counts}); {_bound(numbers['bound'])}"
    if check.finding == Finding.BELOW_FLOOR:
        return f"{told}; below its floor of {percent(numbers['floor'])}"
    return f"{told}{_reason(check)}"


def _reason(check: Check) -> str:
    """Say which of the two: worse, or too few images to exclude it."""
    if check.finding == Finding.WORSE:
        return f"; evidence of a loss that matters (p = {check.numbers['p_worse']:.1g})"
    if check.finding == Finding.TOO_LITTLE:
        return "; too little evidence to exclude a large loss"
    return "" if check.passed else "; more than is allowed for this many images"


def _threshold(check: Check) -> str:
    known, known_before, unknown, unknown_before = (
        percent(check.numbers[name])
        for name in ("known", "known_before", "unknown", "unknown_before")
    )
    low = "; below a floor" if check.finding == Finding.BELOW_FLOOR else ""
    return (
        f"{known} of the base test kept as known, before {known_before}; {unknown} of unknown "
        f"images kept out, before {unknown_before}{low}{_reason(check)}"
    )


def _corrections(check: Check) -> str:
    if not check.numbers:
        return "none are held out yet: judged on the other images alone"
    return _not_worse(check)


def _confident(check: Check) -> str:
    numbers = check.numbers
    now, champion, reference, limit = (
        percent(numbers[name]) for name in ("confident", "champion", "reference", "limit")
    )
    return (
        f"{now} are answered right and called confident, by the champion {champion}, by the "
        f"reference {reference}; at least {limit} asked for"
    )


def _acceptance(check: Check) -> str:
    now, before, floor = (percent(check.numbers[n]) for n in ("accuracy", "champion", "floor"))
    low = check.passed and check.numbers["accuracy"] < check.numbers["floor"]
    excuse = " (below it, but no worse than what serves now)" if low else ""
    return f"{now} right, before {before}, floor {floor}{excuse}"


def _calibration(check: Check) -> str:
    numbers = check.numbers
    ece, before, reference = (
        f"{numbers[f'{role}_ece']:.4f}" for role in ("challenger", "champion", "reference")
    )
    return (
        f"expected calibration error {ece} (before {before}, reference {reference}), errors among "
        f"confident answers {percent(numbers['challenger_confident_errors'])}"
    )


def _implants(check: Check) -> str:
    if not check.numbers:
        return "too few corrections of any class to look for one"
    label, part = check.details
    turned, before = (percent(check.numbers[name]) for name in ("turned", "turned_before"))
    told = f"{part} of pictures corrected to {label} turn {turned} of other pictures into {label}"
    return f"{told}, before {before}"


SENTENCES: Final[Mapping[str, Callable[[Check], str]]] = {
    Kind.SERVING_PATH: _serving_path,
    Kind.LABEL_ORDER: _label_order,
    Kind.GOLDEN: _golden,
    Kind.LATENCY: _latency,
    Kind.PICTURES: _not_worse,
    Kind.CLASS: _not_worse,
    Kind.THRESHOLD: _threshold,
    Kind.CORRECTIONS: _corrections,
    Kind.CONFIDENT: _confident,
    Kind.ACCEPTANCE: _acceptance,
    Kind.CALIBRATION: _calibration,
    Kind.IMPLANTS: _implants,
}


def _bound(bound: float) -> str:
    word = f"at least {-100 * bound:.2f}" if bound < 0 else f"at most {100 * bound:.2f}"
    return f"{word} points {'gained' if bound < 0 else 'lost'}"


def percent(share: float) -> str:
    """Write a share with two decimals."""
    return f"{100 * share:.2f} %"
