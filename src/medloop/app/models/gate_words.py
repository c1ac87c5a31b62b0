"""The gate's report in words that a radiographer reads. Pure: reports as JSON holds them in, sentences out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from medloop.app.kit.wording import class_name, count_of, day_and_time, percent
from medloop.core.corrections.events import Promotion

Report = Mapping[str, Any]
Check = Mapping[str, Any]

PICTURES: Final[Mapping[str, str]] = {  # what the gate's comparisons are about
    "base test": "All test pictures",
    "corrupted images": "Test pictures with noise, blur or other faults added",
    "unknown images kept out": "Pictures of something else, to be called unknown",
    "base test kept as known": "Test pictures, not to be called unknown",
    "held-out corrections": "Corrections that no version has learned from",
    "floors": "What no class and no kind of picture may fall below",
    "confident share": "Test pictures, right and confident",
    "confident share, corrupted images": "Test pictures with faults, right and confident",
}
AGAINST: Final = (", against the reference", " against the reference", " against the champion")


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One rule of the gate."""

    name: str
    passed: bool
    sentence: str
    observed: float | None  # accuracy points lost, negative where gained
    bound: float | None  # of what is lost, points
    margin: float | None  # that is allowed, points


def check_rows(report: Report) -> list[CheckRow]:
    """The gate's rules with what was found, those that failed first."""
    return sorted(map(_row, report["decision"]["checks"]), key=lambda row: row.passed)


def verdict(report: Report) -> str:
    """The gate's decision in a sentence."""
    checks = report["decision"]["checks"]
    against = f"version {report['version']}, against version {report['champion_version']}"
    if report["decision"]["passed"]:
        return f"The gate said yes to {against}: all {len(checks)} checks passed."
    failed = sum(not check["passed"] for check in checks)
    return f"The gate said no to {against}: {failed} of {count_of(len(checks), 'check')} failed."


def why_not(report: Report) -> str:
    """The first check that failed, and how many more did; "" where none did."""
    failed = [row.sentence for row in check_rows(report) if not row.passed]
    more = f" ({len(failed) - 1} more)" if len(failed) > 1 else ""
    return f"{failed[0]}{more}" if failed else ""


def standing(report: Report, *, champion: str | None, moves: Sequence[Promotion]) -> str:
    """Why a version that passed does not answer, or answers although it failed; "" where the verdict says it all."""
    version = report["version"]
    if version == champion:
        return (
            ""
            if report["decision"]["passed"]
            else "It answers all the same: somebody promoted it by hand."
        )
    if not report["decision"]["passed"]:
        return ""
    if not champion:
        return "No version answers just now."
    since = next((move for move in reversed(moves) if move.to_version == champion), None)
    if any(move.to_version == version for move in moves):
        when = f" since {day_and_time(since.at)}: {since.reason}" if since else "."
        return f"It has answered for a while; version {champion} answers{when}"
    if champion != report["champion_version"]:
        return f"By now version {champion} answers, and that is not the one it was tested against."
    return (
        f"Version {champion} still answers: nobody has let version {version} take over yet. The weekly training does "
        "that by itself; an administrator can do it here with “Promote by hand”."
    )


def _row(check: Check) -> CheckRow:
    numbers = check["numbers"]
    lost, gained, n = (numbers.get(name) for name in ("lost", "gained", "n"))
    known = n and lost is not None and gained is not None
    return CheckRow(
        name=_about(check["name"]),
        passed=bool(check["passed"]),
        sentence=_sentence(check),
        observed=100 * (lost - gained) / n if known else None,
        bound=_points(numbers.get("bound")),
        margin=_points(numbers.get("margin")),
    )


def about(name: str) -> str:
    """Which pictures a comparison of the gate is about, whatever it compares with."""
    for ending in AGAINST:
        name = name.removesuffix(ending)
    if name.startswith("class "):
        return class_name(name.removeprefix("class "))
    return PICTURES.get(name, name[:1].upper() + name[1:])


def _about(name: str) -> str:
    return about(name) + (" (against the reference)" if "against the reference" in name else "")


def _sentence(check: Check) -> str:
    """What a check found; the gate's own words where these know none."""
    numbers = check["numbers"]
    if numbers.get("right") is not None and numbers.get("right_before") is not None:
        return _comparison(check)
    known = SENTENCES.get(check["name"])
    try:
        words = known(check) if known else ""
    except (KeyError, TypeError):  # the report of another medloop version
        words = ""
    reason = check["reason"]
    return words or reason[:1].upper() + reason[1:] + "."


def _comparison(check: Check) -> str:
    numbers = check["numbers"]
    now, before = (percent(numbers[name], places=1) for name in ("right", "right_before"))
    of = f" of {count_of(int(numbers['n']), 'picture')}" if numbers.get("n") else ""
    found = f"{_about(check['name'])}: {now} right, before {before}{of}."
    bound, margin = _points(numbers.get("bound")), _points(numbers.get("margin"))
    if check["passed"] or bound is None or margin is None:
        return found
    return f"{found} It may have lost {bound:.1f} points; for this many pictures {margin:.1f} are allowed."


def _serving_path(check: Check) -> str:
    return "The model file opens and answers here." if check["passed"] else ""


def _label_order(check: Check) -> str:
    if not check["passed"]:
        return "It has the old version's classes in another order, or lacks some."
    new = check["reason"].partition("and new: ")[2]
    added = f" and new ones: {', '.join(map(class_name, new.split(', ')))}" if new else ""
    return f"It knows the same classes in the same order{added}."


def _golden(check: Check) -> str:
    if check["passed"]:
        return "It answers here as it did right after its training."
    return "It does not answer here as it did right after its training: another file, or prepared otherwise."


def _latency(check: Check) -> str:
    new, old = check["numbers"]["challenger_ms"], check["numbers"]["champion_ms"]
    return f"One picture takes {new:.1f} ms, with the old version {old:.1f} ms."


def _no_corrections(check: Check) -> str:
    return (
        "No corrections are kept for testing yet."
        if check["passed"] and not check["numbers"]
        else ""
    )


def _calibration(check: Check) -> str:
    numbers = check["numbers"]
    off, before, wrong = (
        percent(numbers[name], places=1)
        for name in ("challenger_ece", "champion_ece", "challenger_confident_errors")
    )
    found = (
        f"Its percentages are off by {off} on average, before by {before}; "
        f"{wrong} of its confident answers are wrong"
    )
    return f"{found}." if check["passed"] else f"{found}: too much."


def _floors(check: Check) -> str:
    if check["passed"]:
        return "No class and no kind of picture is below what it must reach, unless it was before."
    low = ", ".join(
        f"{about(name)} ({percent(share, places=1)} right)"
        for name, share in check["numbers"].items()
    )
    return f"Below what must be reached at the least: {low}." if low else ""


def _confident(check: Check) -> str:
    numbers = check["numbers"]
    now, before, limit = (
        percent(numbers[name], places=1) for name in ("confident", "champion", "limit")
    )
    found = f"{about(check['name'])}: {now}, before {before}"
    return f"{found}." if check["passed"] else f"{found}; at least {limit} must be."


SENTENCES: Final[Mapping[str, Callable[[Check], str]]] = {
    "serving path": _serving_path,
    "label order": _label_order,
    "golden predictions": _golden,
    "latency": _latency,
    "held-out corrections": _no_corrections,
    "calibration": _calibration,
    "floors": _floors,
    "confident share": _confident,
    "confident share, corrupted images": _confident,
}


def _points(share: float | None) -> float | None:
    return 100 * share if share is not None and math.isfinite(share) else None
