"""May the challenger become the champion? A pure function from measurements to a decision.

Each rule is a check that passes or fails; one failed check is a "no". What is missing, empty or not
a number fails. No check that counts right answers can be passed by getting an image wrong.
Calibration is none of these: a model that is less sure than it could be comes closer to its
percentages by an error. The other checks count that error.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final

import numpy as np

from medloop.core.gate.decision import Against, Check, Decision, Finding, Kind
from medloop.core.gate.paired_comparison import compare, loss_bound, loss_p

BASE: Final = "base test"
CORRUPTED: Final = "corrupted images"
UNKNOWN: Final = "unknown images kept out"
KNOWN: Final = "base test kept as known"
EVERYTHING: Final = "all test images together"


@dataclass(frozen=True, slots=True)
class Margins:
    """Which losses matter, as shares of the images."""

    relevant: float  # a loss that is surely smaller is no reason for a "no"
    excluded: float  # a loss that must be excluded before there is a "yes"


MARGINS: Final[Mapping[str, Margins]] = {
    # Relevant: one error more per 1,000 pictures, once a week in a clinic that sends 200 a day.
    # Excluded: what 600 images can exclude of a model as good that shares no errors.
    BASE: Margins(0.001, 0.04),
    EVERYTHING: Margins(0.001, 0.04),
    # Classes and slices are there for collapses, and hold more errors: five times as much.
    Kind.CLASS: Margins(0.005, 0.15),
    CORRUPTED: Margins(0.005, 0.04),
    # What people taught. Few images exclude nothing: the other checks stand for what they can't.
    Kind.CORRECTIONS: Margins(0.01, 1.0),
}
# The two ends of the threshold for "unknown" are judged together: so many points of the one are
# worth so many of the other. The sum must exclude eight such losses.
KNOWN_POINTS: Final = 0.005
UNKNOWN_POINTS: Final = 0.01
THRESHOLD_EXCLUDED: Final = 8.0
WEIGHT: Final = 20  # images have whole weights: the heavier end's is about this much
# Chance that models as good as the old ones are refused for evidence of a loss: 5 % over the whole
# family (Bonferroni), spent where it finds most (docs/gate.md). All images together have the power
# against a worse model; the base test against the reference stops a slow slide; held-out
# corrections are few; single slices and classes are there for collapses.
LEVELS: Final[Mapping[str, Mapping[Against, float]]] = {
    EVERYTHING: {"champion": 0.011, "reference": 0.003},
    BASE: {"champion": 0.003, "reference": 0.020},
    Kind.CLASS: {"champion": 0.001, "reference": 0.001},  # over all classes
    CORRUPTED: {"champion": 0.0005, "reference": 0.0005},
    Kind.THRESHOLD: {"champion": 0.001, "reference": 0.001},
    Kind.CORRECTIONS: {"champion": 0.008},  # seven lost and none gained
}
# What no class and no slice may fall below, however slowly, unless champion or reference are below
# it themselves: far under what the bundled sample's first model reaches (docs/gate.md), so that
# only what is broken falls so low.
CLASS_FLOOR: Final = 0.90
FLOORS: Final[Mapping[str, float]] = {CORRUPTED: 0.75, UNKNOWN: 0.30, KNOWN: 0.90}
SLICES: Final = (CORRUPTED, UNKNOWN, KNOWN)  # must all be there
OLD: Final[tuple[Against, ...]] = ("champion", "reference")
# Points of answers both right and "confident" that may be lost. Thresholds are fitted anew in each
# training, and the shares move with them: by up to 5 and 12 points in three trainings on the
# bundled sample (docs/gate.md).
CONFIDENT_MAX: Final[Mapping[str, float]] = {BASE: 0.10, CORRUPTED: 0.15}
CALIBRATION_FLOOR: Final = 0.02  # expected calibration error that is always good enough
CALIBRATION_SLACK: Final = 0.01  # and how much above the champion's and the reference's it may be
CONFIDENT_ERRORS: Final = 0.01  # of "confident" answers: a share that is always good enough
IMPLANTS_MAX: Final = 0.25  # of test images, that a part of corrections may turn into their class
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
    # Accuracy that must be reached, unless champion or reference are below it, too.
    floor: float | None = None


@dataclass(frozen=True, slots=True)
class CalibrationScores:
    """Calibration of a model on the base test images."""

    challenger_ece: float
    champion_ece: float
    challenger_confident_errors: float  # share of wrong answers among those called "confident"
    champion_confident_errors: float
    reference_ece: float  # not a number without a reference
    reference_confident_errors: float


@dataclass(frozen=True, slots=True)
class Infrastructure:
    """Findings from loading and running the artifact in the serving path."""

    load_error: str  # "" if the file loads and keeps the contract
    champion_labels: tuple[str, ...]
    challenger_labels: tuple[str, ...]
    golden_error: float  # largest difference from the probabilities recorded at training
    golden_tolerance: float
    challenger_ms: float  # one image, median
    champion_ms: float


@dataclass(frozen=True, slots=True)
class Implant:
    """The part of corrected pictures that turns the most test pictures into one class; shares."""

    label: str
    part: str  # in words
    turned: float  # by the challenger
    turned_before: float  # by the champion


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """All that the gate looks at."""

    infrastructure: Infrastructure
    base: Paired  # test groups of the base data set, with classes and reference
    calibration: CalibrationScores | None
    corrections: Paired | None = None  # held-out corrections; None while there are none
    slices: tuple[Paired, ...] = ()  # SLICES must be there
    confident: tuple[Paired, ...] = ()  # right *and* "confident", on base test and corrupted images
    acceptance: tuple[Paired, ...] = ()  # a site's own sets, each with a floor
    implant: Implant | None = None  # the strongest; None if corrections are too few for one


MISSING: Final = Paired("", *(np.zeros(0, dtype=bool),) * 2, np.zeros(0, np.int64))


def decide(evidence: Evidence) -> Decision:
    """Apply every rule. Never raises for wrong measurements: they are a "no"."""
    checks = tuple(_checks(evidence))
    return Decision(passed=all(check.passed for check in checks), checks=checks)


def _checks(evidence: Evidence) -> Iterator[Check]:
    yield from _infrastructure(evidence.infrastructure)
    if evidence.infrastructure.load_error:
        return  # there are no answers to judge
    slices = {part.name: part for part in evidence.slices}
    slices = {name: slices.get(name, replace(MISSING, name=name)) for name in SLICES}
    for against in OLD:
        yield _together([evidence.base, *slices.values()], against)
        yield _not_worse(Kind.PICTURES, evidence.base, against)
        yield from _each_class(evidence.base, against)
        yield _not_worse(Kind.PICTURES, slices[CORRUPTED], against)
        yield _threshold(slices[KNOWN], slices[UNKNOWN], against)
    yield _corrections(evidence.corrections)
    confident = {part.name: part for part in evidence.confident}
    for name in (BASE, CORRUPTED):
        yield _confident_share(name, confident.get(name))
    for part in evidence.acceptance:
        yield _acceptance(part)
    yield _calibration(evidence.calibration)
    yield _implants(evidence.implant)


def _infrastructure(facts: Infrastructure) -> Iterator[Check]:
    if facts.load_error:
        yield Check(Kind.SERVING_PATH, "", "", False, details=(facts.load_error,))
        return
    yield Check(Kind.SERVING_PATH, "", "", True)
    yield _label_order(facts.champion_labels, facts.challenger_labels)
    same = facts.golden_error <= facts.golden_tolerance
    yield Check(Kind.GOLDEN, "", "", same, {"error": facts.golden_error})
    times = {"challenger_ms": facts.challenger_ms, "champion_ms": facts.champion_ms}
    quick = facts.challenger_ms <= LATENCY_RATIO * facts.champion_ms
    yield Check(Kind.LATENCY, "", "champion", quick, times)


def _label_order(champion: tuple[str, ...], challenger: tuple[str, ...]) -> Check:
    """Allow new classes behind the champion's alone: no output may change its meaning."""
    kept = bool(champion) and challenger[: len(champion)] == champion
    details = challenger[len(champion) :] if kept else challenger
    return Check(Kind.LABEL_ORDER, "", "champion", kept, details=details)


def _not_worse(
    kind: str, part: Paired, against: Against, *, level: float | None = None, floor: float = 0.0
) -> Check:
    """Refuse on evidence of a relevant loss, or without enough to exclude a large one."""
    subject = "" if kind == Kind.CORRECTIONS else part.name
    if missing := _missing(against, part):
        return Check(kind, subject, against, False, finding=missing)
    old, rule = _old(part, against), part.name if kind == Kind.PICTURES else kind
    found, margins = compare(part.challenger, old, part.groups), MARGINS[rule]
    numbers = {
        **asdict(found),
        **asdict(margins),
        "level": LEVELS[rule][against] if level is None else level,
        "right": _share(part.challenger),
        "right_before": _share(old),
        "floor": FLOORS.get(part.name, floor),
    }
    finding = ""
    if numbers["right"] < numbers["floor"] <= _best_before(part):
        finding = Finding.BELOW_FLOOR
    elif found.p_worse <= numbers["level"] and found.bound > margins.relevant:
        finding = Finding.WORSE
    elif found.bound > margins.excluded:
        finding = Finding.TOO_LITTLE
    return Check(kind, subject, against, not finding, numbers, finding)


def _together(parts: list[Paired], against: Against) -> Check:
    """Compare all errors at once: what no kind of picture shows alone shows here."""
    if missing := _missing(against, *parts):
        return Check(Kind.PICTURES, EVERYTHING, against, False, finding=missing)
    old = np.concatenate([_old(part, against) for part in parts])
    everything = Paired(
        EVERYTHING,
        challenger=np.concatenate([part.challenger for part in parts]),
        champion=old,
        reference=old,
        groups=np.concatenate([_own_groups(part) for part in parts]),
    )
    return _not_worse(Kind.PICTURES, everything, against)


def _threshold(known: Paired, unknown: Paired, against: Against) -> Check:
    """Judge the ends of the threshold together, each image by what its points are worth."""
    if missing := _missing(against, known, unknown):
        return Check(Kind.THRESHOLD, "", against, False, finding=missing)
    ends = (
        (known, KNOWN_POINTS * len(known.groups)),
        (unknown, UNKNOWN_POINTS * len(unknown.groups)),
    )
    unit = WEIGHT * min(worth for _, worth in ends)  # the loss that matters, at either end
    weights = [max(1, round(unit / worth)) for _, worth in ends]
    loss = np.concatenate(
        [
            weight * (_old(part, against).astype(np.int64) - part.challenger)
            for weight, (part, _) in zip(weights, ends, strict=True)
        ]
    )
    groups = np.concatenate([_own_groups(part) for part, _ in ends])
    p, bound = loss_p(loss, groups), loss_bound(loss, groups, one=max(weights)) / unit
    low = any(_share(e.challenger) < FLOORS[e.name] <= _best_before(e) for e, _ in ends)
    finding = Finding.BELOW_FLOOR if low else ""
    if not low and p <= LEVELS[Kind.THRESHOLD][against] and bound > 1:
        finding = Finding.WORSE
    elif not low and bound > THRESHOLD_EXCLUDED:
        finding = Finding.TOO_LITTLE
    numbers = {
        "known": _share(known.challenger),
        "known_before": _share(_old(known, against)),
        "unknown": _share(unknown.challenger),
        "unknown_before": _share(_old(unknown, against)),
        "net_loss": loss.sum() / unit,
        "net_bound": bound,
        "p_worse": p,
    }
    return Check(Kind.THRESHOLD, "", against, not finding, numbers, finding)


def _own_groups(part: Paired) -> np.ndarray:
    """Number groups so that unknown images share none with the base test's."""
    return -1 - part.groups if part.name == UNKNOWN else part.groups


def _old(part: Paired, against: Against) -> np.ndarray:
    old = part.champion if against == "champion" else part.reference
    return np.zeros(0, dtype=bool) if old is None else old


def _missing(against: Against, *parts: Paired) -> str:
    """Name what keeps these from being compared; "" if nothing does."""
    if not all(_is_sound(part, part.champion) for part in parts):
        return Finding.NOT_MEASURED
    if against == "reference" and any(part.reference is None for part in parts):
        return Finding.NO_REFERENCE
    return (
        "" if all(_is_sound(part, _old(part, against)) for part in parts) else Finding.NOT_MEASURED
    )


def _each_class(base: Paired, against: Against) -> Iterator[Check]:
    """Compare each class; against the reference, too, so that none erodes a little every week."""
    parts = _by_class(base)
    if not parts:
        yield Check(Kind.CLASS, "", against, False, finding=Finding.NOT_MEASURED)
    for part in parts:
        level = LEVELS[Kind.CLASS][against] / len(parts)
        yield _not_worse(Kind.CLASS, part, against, level=level, floor=CLASS_FLOOR)


def _by_class(base: Paired) -> list[Paired]:
    """Part the base test images by their true class; [] if that is not known of each."""
    labels = base.classes
    if labels is None or len(labels) != len(base.challenger) or not _is_sound(base, base.champion):
        return []
    reference = base.reference
    if reference is not None and not _is_sound(base, reference):
        reference = None
    return [
        Paired(
            name=str(label),
            challenger=base.challenger[chosen],
            champion=base.champion[chosen],
            groups=base.groups[chosen],
            reference=None if reference is None else reference[chosen],
        )
        for label in np.unique(labels)
        for chosen in [labels == label]
    ]


def _confident_share(name: str, part: Paired | None) -> Check:
    """Ask for enough answers right and confident: who is never sure makes no errors, either."""
    if (
        part is None
        or part.reference is None
        or not (_is_sound(part, part.champion) and _is_sound(part, part.reference))
    ):
        return Check(Kind.CONFIDENT, name, "", False, finding=Finding.NOT_MEASURED)
    numbers = {
        "confident": _share(part.challenger),
        "champion": _share(part.champion),
        "reference": _share(part.reference),
        "limit": max(0.0, round(_best_before(part) - CONFIDENT_MAX[name], 9)),
    }
    return Check(Kind.CONFIDENT, name, "", numbers["confident"] >= numbers["limit"], numbers)


def _corrections(part: Paired | None) -> Check:
    if part is None:
        return Check(Kind.CORRECTIONS, "", "champion", True)
    return _not_worse(Kind.CORRECTIONS, part, "champion")


def _acceptance(part: Paired) -> Check:
    if not _is_sound(part, part.champion) or part.floor is None:
        return Check(Kind.ACCEPTANCE, part.name, "", False, finding=Finding.NOT_MEASURED)
    now, before = _share(part.challenger), _share(part.champion)
    numbers = {"accuracy": now, "champion": before, "floor": part.floor, "n": len(part.groups)}
    return Check(Kind.ACCEPTANCE, part.name, "", now >= min(part.floor, before), numbers)


def _calibration(facts: CalibrationScores | None) -> Check:
    if facts is None or not all(math.isfinite(value) for value in asdict(facts).values()):
        return Check(Kind.CALIBRATION, "", "", False, finding=Finding.NOT_MEASURED)
    best_ece = min(facts.champion_ece, facts.reference_ece)
    best_errors = min(facts.champion_confident_errors, facts.reference_confident_errors)
    limits = {
        "ece_limit": max(CALIBRATION_FLOOR, best_ece + CALIBRATION_SLACK),
        "confident_errors_limit": max(CONFIDENT_ERRORS, best_errors),
    }
    passed = (
        facts.challenger_ece <= limits["ece_limit"]
        and facts.challenger_confident_errors <= limits["confident_errors_limit"]
    )
    return Check(Kind.CALIBRATION, "", "", passed, {**asdict(facts), **limits})


def _implants(strongest: Implant | None) -> Check:
    """Fail if a part of corrected pictures turns others into their class, and did not before."""
    if strongest is None:
        return Check(Kind.IMPLANTS, "", "champion", True)
    numbers = {"turned": strongest.turned, "turned_before": strongest.turned_before}
    passed = strongest.turned - strongest.turned_before <= IMPLANTS_MAX
    details = (strongest.label, strongest.part)
    return Check(Kind.IMPLANTS, "", "champion", passed, numbers, details=details)


def _is_sound(part: Paired, old: np.ndarray) -> bool:
    lengths = {len(part.challenger), len(old), len(part.groups)}
    return len(lengths) == 1 and lengths != {0} and part.challenger.dtype == old.dtype == bool


def _share(answers: np.ndarray) -> float:
    return float(answers.mean())


def _best_before(part: Paired) -> float:
    """Give the share of the better of champion and reference."""
    old = [part.champion]
    if part.reference is not None and _is_sound(part, part.reference):
        old.append(part.reference)
    return max(map(_share, old))
