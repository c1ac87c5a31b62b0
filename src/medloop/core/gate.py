"""May the challenger become the champion? A pure function from what was measured to a decision with reasons in words.

Each rule is a check that passes or fails; one failed check is a "no". What is missing, empty or not a number fails.
No check can be passed by getting an image wrong: fewer right answers never turn a "no" into a "yes".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from medloop.core.decision import Check, Decision
from medloop.core.paired import LEVEL, Comparison, cluster_size, compare, margin

BASE_MOST: Final = 0.025  # accuracy points that base test images may ever leave open; more means too few images
CLASS_MOST: Final = 0.15  # the same for the images of one class
CLASS_POWER: Final = 0.99  # a class check is there for collapses: 99 % of equally good models pass it
SLICE_MOST: Final = 0.04  # for corrupted images, unknown images
CORRECTIONS_MOST: Final = 0.025  # for held-out corrections, where there are
CORRECTIONS_MANY: Final = (
    300  # of them: 300 at 5 % discordance bound ±2.1 points; fewer have to come out better or equal
)
CALIBRATION_FLOOR: Final = 0.02  # expected calibration error that is always good enough
CALIBRATION_SLACK: Final = 0.01  # and how much above the champion's it may be
CONFIDENT_ERRORS: Final = 0.01  # share of errors among "confident" answers that is always good enough
LATENCY_RATIO: Final = 2.0  # one image, against the champion


@dataclass(frozen=True, slots=True, eq=False)
class Paired:
    """Right or wrong of each model on the same images; bool [N] each."""

    name: str
    challenger: np.ndarray
    champion: np.ndarray
    groups: np.ndarray  # int64 [N]; images of one group stand or fall together
    reference: np.ndarray | None = None
    classes: np.ndarray | None = None  # str [N]: the true class of each image
    floor: float | None = None  # accuracy that must be reached, unless the champion is below it, too
    most: float = SLICE_MOST  # of a slice: no wider margin, however few its images are


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far confidence can be believed, on the base test images."""

    challenger_ece: float
    champion_ece: float
    challenger_confident_errors: float  # share of wrong answers among those called "confident"
    champion_confident_errors: float


@dataclass(frozen=True, slots=True)
class Infrastructure:
    """What loading and running the artifact in the serving path showed."""

    load_error: str  # "" where the file loads and keeps the contract
    champion_labels: tuple[str, ...]
    challenger_labels: tuple[str, ...]
    golden_error: float  # largest difference from the probabilities recorded at training
    golden_tolerance: float
    challenger_ms: float  # one image, median
    champion_ms: float


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """All that the gate looks at."""

    infrastructure: Infrastructure
    base: Paired  # test groups of the base data set, with classes and reference
    calibration: Calibration | None
    corrections: Paired | None = None  # held-out corrections; None while there are none
    slices: tuple[Paired, ...] = ()  # corrupted, unknown …: not worse than the champion
    acceptance: tuple[Paired, ...] = ()  # a site's own sets, each with a floor


def decide(evidence: Evidence) -> Decision:
    """Apply every rule. Never raises for wrong measurements: they are a "no"."""
    checks = tuple(_checks(evidence))
    return Decision(passed=all(check.passed for check in checks), checks=checks)


def _checks(evidence: Evidence) -> Iterator[Check]:
    yield from _infrastructure(evidence.infrastructure)
    yield _not_worse("base test against the champion", evidence.base, evidence.base.champion, BASE_MOST)
    yield _against_reference(evidence.base)
    yield from _each_class(evidence.base)
    yield _corrections(evidence.corrections)
    for part in evidence.slices:
        yield _not_worse(part.name, part, part.champion, part.most)
        if part.reference is not None:  # that there is one at all, the base test sees to
            yield _not_worse(f"{part.name}, against the reference", part, part.reference, part.most)
    for part in evidence.acceptance:
        yield _acceptance(part)
    yield _calibration(evidence.calibration)


def _infrastructure(facts: Infrastructure) -> Iterator[Check]:
    if facts.load_error:
        yield Check("serving path", False, f"the model file does not serve: {facts.load_error}")
        return
    yield Check("serving path", True, "the model file loads in the serving path and keeps the contract")
    yield _label_map(facts.champion_labels, facts.challenger_labels)
    same = facts.golden_error <= facts.golden_tolerance
    yield Check(
        "golden predictions", same,
        f"served probabilities are within {facts.golden_error:.1e} of those at training"
        + ("" if same else f", more than {facts.golden_tolerance:.0e}: another file, or another preprocessing"),
        {"error": facts.golden_error},
    )  # fmt: skip
    quick = facts.challenger_ms <= LATENCY_RATIO * facts.champion_ms
    yield Check(
        "latency", quick,
        f"one image takes {facts.challenger_ms:.2f} ms, the champion {facts.champion_ms:.2f} ms"
        + ("" if quick else f": more than {LATENCY_RATIO:g} times as long"),
        {"challenger_ms": facts.challenger_ms, "champion_ms": facts.champion_ms},
    )  # fmt: skip


def _label_map(champion: tuple[str, ...], challenger: tuple[str, ...]) -> Check:
    """New classes may only be added behind the champion's: no output may change its meaning."""
    kept = bool(champion) and challenger[: len(champion)] == champion
    added = challenger[len(champion) :]
    if not kept:
        reason = (
            f"the champion's classes are {', '.join(champion)}; the challenger's {', '.join(challenger)}: reordered"
        )
    elif added:
        reason = f"the champion's classes in the same order, and new: {', '.join(added)}"
    else:
        reason = "the same classes in the same order"
    return Check("label order", kept, reason)


def _against_reference(base: Paired) -> Check:
    name = "base test against the reference"
    if base.reference is None:
        return Check(name, False, "there is no reference version to compare with: run `medloop bootstrap`")
    return _not_worse(name, base, base.reference, BASE_MOST)


def _not_worse(name: str, part: Paired, old: np.ndarray, most: float, *, power: float = LEVEL) -> Check:
    """Non-inferiority: the upper bound of what is lost stays within the margin that n supports."""
    if not _sound(part, old):
        return Check(name, False, f"{name}: no usable results ({len(part.challenger)} images)")
    found = compare(part.challenger, old, part.groups)
    errors = 1 - float(old.mean())
    allowed = margin(found.n, errors, most=most, cluster=cluster_size(~old, part.groups), power=power)
    passed = bool(found.bound <= allowed)
    reason = (
        f"{name}: {_percent(part.challenger.mean())} right, before {_percent(old.mean())}, of {found.n} images "
        f"(lost {found.lost}, gained {found.gained}); {_bound(found.bound, passed)}, {_points(allowed)} allowed for "
        "this many images"
    )
    right = {"right": float(part.challenger.mean()), "right_before": float(old.mean())}
    return Check(name, passed, reason, {**_numbers(found, allowed), **right})


def _each_class(base: Paired) -> Iterator[Check]:
    if base.classes is None or len(base.classes) != len(base.challenger) or not _sound(base, base.champion):
        yield Check("each class", False, "the classes of the base test images are not known")
        return
    for label in np.unique(base.classes):
        chosen = base.classes == label
        part = Paired(f"class {label}", base.challenger[chosen], base.champion[chosen], base.groups[chosen])
        yield _not_worse(part.name, part, part.champion, CLASS_MOST, power=CLASS_POWER)


def _corrections(part: Paired | None) -> Check:
    """Better or equal, as observed; where there are many also not worse, within what n supports."""
    name = "held-out corrections"
    if part is None:
        return Check(name, True, "no corrections are held out yet: judged on the other images alone")
    check = _not_worse(name, part, part.champion, CORRECTIONS_MOST)
    if not check.numbers:
        return check
    net, n = int(check.numbers["gained"] - check.numbers["lost"]), len(part.challenger)
    if net < 0 and n >= CORRECTIONS_MANY:
        return check
    word = "better than" if net > 0 else "worse than" if net < 0 else "as good as"
    reason = (
        f"{name}: {word} the champion, {_percent(part.challenger.mean())} right, before "
        f"{_percent(part.champion.mean())}, of {n} images"
        + ("" if net >= 0 else f"; fewer than {CORRECTIONS_MANY} have to come out better or equal")
    )
    return Check(name, net >= 0, reason, check.numbers)


def _acceptance(part: Paired) -> Check:
    name = f"acceptance set {part.name}"
    if not _sound(part, part.champion) or part.floor is None:
        return Check(name, False, f"{name}: no usable results ({len(part.challenger)} images)")
    now, before = float(part.challenger.mean()), float(part.champion.mean())
    passed = now >= part.floor or now >= before
    reason = (
        f"{name}: {_percent(now)} of {len(part.challenger)} images right, before {_percent(before)}, "
        f"floor {_percent(part.floor)}"
    )
    if passed and now < part.floor:
        reason += " (below it, but no worse than what serves now)"
    return Check(name, passed, reason, {"accuracy": now, "champion": before, "floor": part.floor})


def _calibration(facts: Calibration | None) -> Check:
    name = "calibration"
    if facts is None or not all(math.isfinite(value) for value in asdict(facts).values()):
        return Check(name, False, "calibration was not measured")
    ece_limit = max(CALIBRATION_FLOOR, facts.champion_ece + CALIBRATION_SLACK)
    error_limit = max(CONFIDENT_ERRORS, facts.champion_confident_errors)
    passed = facts.challenger_ece <= ece_limit and facts.challenger_confident_errors <= error_limit
    reason = (
        f"{name}: expected calibration error {facts.challenger_ece:.4f} (before {facts.champion_ece:.4f}, limit "
        f"{ece_limit:.4f}), errors among confident answers {_percent(facts.challenger_confident_errors)} "
        f"(limit {_percent(error_limit)})"
    )
    return Check(name, passed, reason, asdict(facts))


def _sound(part: Paired, old: np.ndarray) -> bool:
    lengths = {len(part.challenger), len(old), len(part.groups)}
    return len(lengths) == 1 and lengths != {0} and part.challenger.dtype == bool and old.dtype == bool


def _numbers(found: Comparison, allowed: float) -> dict[str, float]:
    return {**asdict(found), "margin": allowed}


def _bound(share: float, passed: bool) -> str:
    if share < 0:
        return f"at least {_points(-share)} points gained"
    return f"{'at most' if passed else 'perhaps'} {_points(share)} points lost"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _points(share: float) -> str:
    return f"{100 * share:.2f}"
