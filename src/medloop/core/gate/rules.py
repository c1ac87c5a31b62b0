"""May the challenger become the champion? A pure function from what was measured to a decision with reasons in words.

Each rule is a check that passes or fails; one failed check is a "no". What is missing, empty or not a number fails.
No check that counts right answers can be passed by getting an image wrong. Calibration is none of these: a model that
is less sure than it could be comes closer to its percentages by an error. The other checks count that error.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final

import numpy as np

from medloop.core.gate.decision import Check, Decision
from medloop.core.gate.paired_comparison import LEVEL, Comparison, cluster_size, compare, margin

BASE_MOST: Final = (
    0.025  # accuracy points that base test images may ever leave open; more means too few images
)
CLASS_MOST: Final = 0.15  # the same for the images of one class
CLASS_POWER: Final = (
    0.99  # a class check is there for collapses: 99 % of equally good models pass it
)
# A class is compared with a reference for years, whose few errors say little of what changes meanwhile: it may always
# lose what a class with 2 % errors loses by chance (3 of 100 images, 10 of 870).
CLASS_ERRORS: Final = 0.02
SLICE_MOST: Final = 0.04  # for corrupted images, unknown images
BASE: Final = "base test"
CORRUPTED: Final = "corrupted images"
UNKNOWN: Final = "unknown images kept out"
KNOWN: Final = "base test kept as known"
# What no class and no slice may fall below, however slowly, where champion or reference are not below it themselves:
# far under what the bundled sample's first model reaches (docs/gate.md), so that only what is broken falls so low.
CLASS_FLOOR: Final = 0.90
SLICE_FLOORS: Final[Mapping[str, float]] = {
    CORRUPTED: 0.75,
    UNKNOWN: 0.30,
    KNOWN: 0.90,
}  # all must be there
# Points of answers both right and "confident" that may be lost. Thresholds are fitted anew in each training, and the
# shares move with them: by up to 5 and 12 points in three trainings on the bundled sample (docs/gate.md).
CONFIDENT_MOST: Final[Mapping[str, float]] = {BASE: 0.10, CORRUPTED: 0.15}
CORRECTIONS_MOST: Final = 0.025  # for held-out corrections, where there are
# Of them: 300 at 5 % discordance bound ±2.1 points; fewer have to come out better or equal.
CORRECTIONS_MANY: Final = 300
CALIBRATION_FLOOR: Final = 0.02  # expected calibration error that is always good enough
CALIBRATION_SLACK: Final = 0.01  # and how much above the champion's and the reference's it may be
CONFIDENT_ERRORS: Final = (
    0.01  # share of errors among "confident" answers that is always good enough
)
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
    floor: float | None = (
        None  # accuracy that must be reached, unless the champion is below it, too
    )
    most: float = SLICE_MOST  # of a slice: no wider margin, however few its images are


@dataclass(frozen=True, slots=True)
class CalibrationScores:
    """How far confidence can be believed, on the base test images."""

    challenger_ece: float
    champion_ece: float
    challenger_confident_errors: float  # share of wrong answers among those called "confident"
    champion_confident_errors: float
    reference_ece: float  # not a number without a reference
    reference_confident_errors: float


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
    calibration: CalibrationScores | None
    corrections: Paired | None = None  # held-out corrections; None while there are none
    slices: tuple[Paired, ...] = ()  # corrupted, unknown …: those of SLICE_FLOORS must be there
    confident: tuple[Paired, ...] = ()  # right *and* "confident", on base test and corrupted images
    acceptance: tuple[Paired, ...] = ()  # a site's own sets, each with a floor


def decide(evidence: Evidence) -> Decision:
    """Apply every rule. Never raises for wrong measurements: they are a "no"."""
    checks = tuple(_checks(evidence))
    return Decision(passed=all(check.passed for check in checks), checks=checks)


def _checks(evidence: Evidence) -> Iterator[Check]:
    yield from _infrastructure(evidence.infrastructure)
    if evidence.infrastructure.load_error:
        return  # there are no answers to judge
    yield _not_worse(
        f"{BASE} against the champion", evidence.base, evidence.base.champion, BASE_MOST
    )
    yield _against_reference(f"{BASE} against the reference", evidence.base, BASE_MOST)
    yield from _each_class(evidence.base)
    yield _corrections(evidence.corrections)
    yield from _slices(evidence.slices)
    yield _floors(evidence.base, evidence.slices)
    yield from _confident(evidence.confident)
    for part in evidence.acceptance:
        yield _acceptance(part)
    yield _calibration(evidence.calibration)


def _infrastructure(facts: Infrastructure) -> Iterator[Check]:
    if facts.load_error:
        yield Check("serving path", False, f"the model file does not serve: {facts.load_error}")
        return
    yield Check(
        "serving path", True, "the model file loads in the serving path and keeps the contract"
    )
    yield _label_map(facts.champion_labels, facts.challenger_labels)
    same = facts.golden_error <= facts.golden_tolerance
    yield Check(
        "golden predictions",
        same,
        f"served probabilities are within {facts.golden_error:.1e} of those at training"
        + (
            ""
            if same
            else f", more than {facts.golden_tolerance:.0e}: another file, or another preprocessing"
        ),
        {"error": facts.golden_error},
    )
    quick = facts.challenger_ms <= LATENCY_RATIO * facts.champion_ms
    yield Check(
        "latency",
        quick,
        f"one image takes {facts.challenger_ms:.2f} ms, the champion {facts.champion_ms:.2f} ms"
        + ("" if quick else f": more than {LATENCY_RATIO:g} times as long"),
        {"challenger_ms": facts.challenger_ms, "champion_ms": facts.champion_ms},
    )


def _label_map(champion: tuple[str, ...], challenger: tuple[str, ...]) -> Check:
    """New classes may only be added behind the champion's: no output may change its meaning."""
    kept = bool(champion) and challenger[: len(champion)] == champion
    added = challenger[len(champion) :]
    if not kept:
        reason = (
            f"the champion's classes are {', '.join(champion)}; "
            f"the challenger's {', '.join(challenger)}: reordered"
        )
    elif added:
        reason = f"the champion's classes in the same order, and new: {', '.join(added)}"
    else:
        reason = "the same classes in the same order"
    return Check("label order", kept, reason)


def _against_reference(
    name: str, part: Paired, most: float, *, errors: float = 0.0, power: float = LEVEL
) -> Check:
    if part.reference is None:
        return Check(
            name,
            False,
            f"{name}: there is no reference version to compare with: run `medloop bootstrap`",
        )
    return _not_worse(name, part, part.reference, most, errors=errors, power=power)


def _not_worse(
    name: str,
    part: Paired,
    old: np.ndarray,
    most: float,
    *,
    errors: float = 0.0,
    power: float = LEVEL,
) -> Check:
    """Non-inferiority: the upper bound of what is lost stays within the margin that n supports.

    The margin follows the old model's rate of errors, taken to be `errors` at the least.
    """
    if not _sound(part, old):
        return Check(name, False, f"{name}: no usable results ({len(part.challenger)} images)")
    found = compare(part.challenger, old, part.groups)
    rate = max(errors, 1 - float(old.mean()))
    allowed = margin(found.n, rate, most=most, cluster=cluster_size(~old, part.groups), power=power)
    passed = bool(found.bound <= allowed)
    reason = (
        f"{name}: {_percent(part.challenger.mean())} right, before {_percent(old.mean())}, of {found.n} images "
        f"(lost {found.lost}, gained {found.gained}); {_bound(found.bound, passed)}, {_points(allowed)} allowed for "
        "this many images"
    )
    right = {"right": float(part.challenger.mean()), "right_before": float(old.mean())}
    return Check(name, passed, reason, {**_numbers(found, allowed), **right})


def _each_class(base: Paired) -> Iterator[Check]:
    """Each class against the champion, and against the reference, so that none erodes a little every week."""
    parts = _by_class(base)
    if not parts:
        yield Check("each class", False, "the classes of the base test images are not known")
    for part in parts:
        yield _not_worse(part.name, part, part.champion, CLASS_MOST, power=CLASS_POWER)
        name = f"{part.name}, against the reference"
        yield _against_reference(name, part, CLASS_MOST, errors=CLASS_ERRORS, power=CLASS_POWER)


def _by_class(base: Paired) -> list[Paired]:
    """The base test images by their true class; [] where that is not known of each."""
    if (
        base.classes is None
        or len(base.classes) != len(base.challenger)
        or not _sound(base, base.champion)
    ):
        return []
    reference = (
        base.reference if base.reference is not None and _sound(base, base.reference) else None
    )
    return [
        replace(
            base, name=f"class {label}", challenger=base.challenger[chosen], champion=base.champion[chosen],
            reference=None if reference is None else reference[chosen], groups=base.groups[chosen], classes=None,
        )
        for label in np.unique(base.classes)
        for chosen in [base.classes == label]
    ]  # fmt: skip


def _slices(slices: tuple[Paired, ...]) -> Iterator[Check]:
    for name in sorted(SLICE_FLOORS.keys() - {part.name for part in slices}):
        yield Check(name, False, f"{name}: not measured, and no model is let through without")
    for part in slices:
        yield _not_worse(part.name, part, part.champion, part.most)
        yield _against_reference(f"{part.name}, against the reference", part, part.most)


def _floors(base: Paired, slices: tuple[Paired, ...]) -> Check:
    """No class and no slice below its floor, where champion or reference are not below it themselves."""
    name = "floors"
    parts = [(part, CLASS_FLOOR) for part in _by_class(base)]
    parts += [(part, SLICE_FLOORS[part.name]) for part in slices if part.name in SLICE_FLOORS]
    if not parts or not all(_sound(part, part.champion) for part, _ in parts):
        return Check(name, False, f"{name}: no usable results")
    low = {
        part.name: _right(part.challenger)
        for part, floor in parts
        if _right(part.challenger) < floor
    }
    below = [
        (part, floor) for part, floor in parts if part.name in low and floor <= _best_before(part)
    ]
    if below:
        found = "; ".join(
            f"{part.name} {_percent(low[part.name])} right, at least {_percent(floor)} asked for (before "
            f"{_percent(_best_before(part))})"
            for part, floor in below
        )
        return Check(
            name, False, f"{name}: {found}", {part.name: low[part.name] for part, _ in below}
        )
    reason = f"{name}: each class reaches {_percent(CLASS_FLOOR)}, " + ", ".join(
        f"{part} {_percent(floor)}" for part, floor in SLICE_FLOORS.items()
    )
    if low:
        reason += f"; not so {', '.join(low)}, as before: neither champion nor reference do"
    return Check(name, True, reason)


def _confident(parts: tuple[Paired, ...]) -> Iterator[Check]:
    """Enough answers that are right and called "confident": a model that is sure of nothing makes no errors, either."""
    known = {part.name: part for part in parts}
    yield _confident_share("confident share", known.get(BASE), CONFIDENT_MOST[BASE])
    yield _confident_share(
        f"confident share, {CORRUPTED}", known.get(CORRUPTED), CONFIDENT_MOST[CORRUPTED]
    )


def _confident_share(name: str, part: Paired | None, most: float) -> Check:
    if (
        part is None
        or part.reference is None
        or not (_sound(part, part.champion) and _sound(part, part.reference))
    ):
        return Check(name, False, f"{name}: not measured for challenger, champion and reference")
    now, champion, reference = (
        _right(answers) for answers in (part.challenger, part.champion, part.reference)
    )
    limit = max(0.0, round(max(champion, reference) - most, 9))
    reason = (
        f"{name}: {_percent(now)} of {len(part.challenger)} images are answered right and called confident, by the "
        f"champion {_percent(champion)}, by the reference {_percent(reference)}; at least {_percent(limit)} asked for"
    )
    numbers = {"confident": now, "champion": champion, "reference": reference, "limit": limit}
    return Check(name, now >= limit, reason, numbers)


def _corrections(part: Paired | None) -> Check:
    """Better or equal, as observed; where there are many also not worse, within what n supports."""
    name = "held-out corrections"
    if part is None:
        return Check(
            name, True, "no corrections are held out yet: judged on the other images alone"
        )
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


def _calibration(facts: CalibrationScores | None) -> Check:
    name = "calibration"
    if facts is None or not all(math.isfinite(value) for value in asdict(facts).values()):
        return Check(
            name, False, "calibration was not measured for challenger, champion and reference"
        )
    ece_limit = max(
        CALIBRATION_FLOOR, min(facts.champion_ece, facts.reference_ece) + CALIBRATION_SLACK
    )
    error_limit = max(
        CONFIDENT_ERRORS, min(facts.champion_confident_errors, facts.reference_confident_errors)
    )
    passed = facts.challenger_ece <= ece_limit and facts.challenger_confident_errors <= error_limit
    reason = (
        f"{name}: expected calibration error {facts.challenger_ece:.4f} (before {facts.champion_ece:.4f}, reference "
        f"{facts.reference_ece:.4f}, limit {ece_limit:.4f}), errors among confident answers "
        f"{_percent(facts.challenger_confident_errors)} (limit {_percent(error_limit)})"
    )
    return Check(name, passed, reason, asdict(facts))


def _sound(part: Paired, old: np.ndarray) -> bool:
    lengths = {len(part.challenger), len(old), len(part.groups)}
    return (
        len(lengths) == 1 and lengths != {0} and part.challenger.dtype == bool and old.dtype == bool
    )


def _right(answers: np.ndarray) -> float:
    return float(answers.mean())


def _best_before(part: Paired) -> float:
    """What the better of champion and reference gets right."""
    known = part.reference is not None and _sound(part, part.reference)
    return max(
        _right(part.champion),
        _right(part.reference) if known and part.reference is not None else 0.0,
    )


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
