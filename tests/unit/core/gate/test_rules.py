"""What the gate lets through, and what never."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.app.reports import report

from medloop.core.gate.decision import Decision
from medloop.core.gate.rules import (
    CORRUPTED,
    KNOWN,
    LEVELS,
    SLICES,
    UNKNOWN,
    CalibrationScores,
    Evidence,
    Infrastructure,
    Paired,
    decide,
)
from medloop.core.gate.words import check_name, sentence

LABELS = ("AbdomenCT", "CXR", "ChestCT")
NAMES = {"corrupted": CORRUPTED, "unknown": UNKNOWN, "known": KNOWN}
CALIBRATED = CalibrationScores(0.01, 0.01, 0.001, 0.001, 0.01, 0.001)


def paired(
    name: str, n: int = 600, *, right: float = 0.99, floor: float | None = None, **changes
) -> Paired:
    """A comparison in which all three models answer alike."""
    answers = np.arange(n) % 100 < right * 100
    part = Paired(
        name=name,
        challenger=answers.copy(),
        champion=answers.copy(),
        reference=answers.copy(),
        groups=np.arange(n),
        classes=np.array(LABELS)[np.arange(n) % 3],
        floor=floor,
    )
    return replace(part, **changes)


def evidence(**changes) -> Evidence:
    """Everything in order: a challenger that is as good as the champion."""
    whole = Evidence(
        infrastructure=Infrastructure("", LABELS, LABELS, 0.0, 1e-3, 0.2, 0.2),
        base=paired("base test"),
        calibration=CALIBRATED,
        corrections=paired("held-out corrections", 20, right=0.5),
        slices=slices(),
        confident=(paired("base test", right=0.8), paired("corrupted images", right=0.5)),
        acceptance=(paired("site-a", 100, right=0.97, floor=0.95),),
    )
    return replace(whole, **changes)


def slices(**instead: Paired) -> tuple[Paired, ...]:
    """Those that the gate needs; keywords name the slices by NAMES."""
    parts = {key: paired(name, right=0.95) for key, name in NAMES.items()}
    return tuple({**parts, **instead}.values())


def failed(decision: Decision) -> list[str]:
    return [check_name(check) for check in decision.checks if not check.passed]


def why(decision: Decision) -> list[str]:
    return [sentence(check) for check in decision.checks if check.passed == decision.passed]


def lose(part: Paired, count: int, *, of_class: str | None = None) -> Paired:
    """The challenger gets `count` images wrong that the champion gets right."""
    chosen = part.champion & (part.classes == of_class if of_class else True)
    worse = part.challenger.copy()
    worse[np.flatnonzero(chosen)[:count]] = False
    return replace(part, challenger=worse)


def test_an_equally_good_challenger_passes_with_reasons_in_words():
    decision = decide(evidence())
    assert decision.passed
    assert not failed(decision)
    assert any("of 600 images" in reason and "points lost" in reason for reason in why(decision))


def test_a_worse_base_test_is_refused():
    decision = decide(evidence(base=lose(paired("base test"), 20)))
    assert not decision.passed
    assert "base test, against the champion" in failed(decision)
    assert any("lost 20, gained 0" in reason for reason in why(decision))


def test_slow_drift_is_caught_by_the_frozen_reference():
    """Not worse than a champion that is itself worse than the reference: still a "no"."""
    base = lose(paired("base test"), 20)
    decision = decide(evidence(base=replace(base, champion=base.challenger.copy())))
    assert "base test, against the reference" in failed(decision)
    assert "base test, against the champion" not in failed(decision)


def test_a_class_that_erodes_a_little_each_week_is_caught_by_the_frozen_reference():
    """Each week's loss is small against last week's champion, and the other classes make up for it
    in the whole.
    """
    base = paired("base test", 1800, right=0.97)
    eroded = lose(base, 30, of_class="CXR")
    wrong_before = ~base.champion & (base.classes != "CXR")
    gained = replace(
        base, challenger=eroded.challenger | wrong_before, champion=eroded.challenger | wrong_before
    )
    assert failed(decide(evidence(base=gained))) == ["class CXR, against the reference"]


@pytest.mark.parametrize(("lost", "passes"), [(7, True), (20, False)])
def test_a_class_may_lose_by_chance_what_equally_good_models_lose(lost: int, passes: bool):
    decision = decide(
        evidence(base=lose(paired("base test", 600, right=1.0), lost, of_class="CXR"))
    )
    names = [f"class CXR, against the {old}" for old in ("champion", "reference")]
    assert ([name in failed(decision) for name in names] == [False, False]) == passes


def test_no_class_falls_below_its_floor_where_the_reference_is_above():
    """Too few images for the other checks to tell it from chance."""
    base = paired("base test", 100 * 3, right=0.92)
    decision = decide(evidence(base=lose(base, 4, of_class="CXR")))
    low = [check for check in decision.checks if not check.passed]
    assert {(check.kind, check.subject) for check in low} == {("class", "CXR")}
    assert {check.finding for check in low} == {"below its floor"}
    assert low[0].numbers["right"] == pytest.approx(0.88)
    assert "below its floor of 90.00 %" in sentence(low[0])


def test_a_slice_below_its_floor_is_refused():
    eroded = paired("corrupted images", 20000, right=0.76)
    decision = decide(evidence(slices=slices(corrupted=lose(eroded, 300))))
    low = [check.subject for check in decision.checks if check.finding == "below its floor"]
    assert set(low) == {"corrupted images"}


def test_a_floor_that_neither_champion_nor_reference_reach_refuses_nobody():
    hard = paired("base test", 600, right=0.8)
    decision = decide(evidence(base=hard))
    assert decision.passed


def test_collapse_of_one_class_is_refused():
    decision = decide(evidence(base=lose(paired("base test"), 30, of_class="CXR")))
    assert "class CXR, against the champion" in failed(decision)
    assert not [name for name in failed(decision) if "AbdomenCT" in name]


def test_worse_on_held_out_corrections_is_refused_and_one_better_passes():
    part = paired("held-out corrections", 20, right=0.5)
    assert failed(decide(evidence(corrections=lose(part, 8)))) == [
        "held-out corrections, against the champion"
    ]
    better = replace(part, challenger=np.ones(20, dtype=bool))
    assert decide(evidence(corrections=better)).passed


def held_out(n: int, *, lost: int, gained: int) -> Paired:
    """Corrections of which the champion gets half right."""
    champion = np.arange(n) % 2 == 0
    challenger = champion.copy()
    challenger[np.flatnonzero(champion)[:lost]] = False
    challenger[np.flatnonzero(~champion)[:gained]] = True
    return paired("held-out corrections", n, champion=champion, challenger=challenger)


@pytest.mark.parametrize(
    ("n", "lost", "gained", "passes"),
    [
        (10, 0, 0, True),
        (10, 1, 0, True),  # chance does that to a model as good
        (30, 6, 0, True),
        (30, 7, 0, False),
        (299, 20, 19, True),
        (299, 30, 10, False),
        (4000, 14, 2, True),  # evidence, of less than a hundredth
        (1000, 14, 0, False),
    ],
)
def test_held_out_corrections_are_refused_on_evidence(n, lost, gained, passes):
    decision = decide(evidence(corrections=held_out(n, lost=lost, gained=gained)))
    assert failed(decision) == ([] if passes else ["held-out corrections, against the champion"])


def test_why_held_out_corrections_were_refused_is_said_in_words():
    assert corrections_reason(held_out(20, lost=8, gained=0)).startswith(
        "held-out corrections, against the champion: 10.00 % right, before 50.00 %, of 20 images"
    )
    assert "evidence of a loss" in corrections_reason(held_out(400, lost=9, gained=0))
    assert "evidence" not in corrections_reason(held_out(400, lost=1, gained=0))


def corrections_reason(part: Paired) -> str:
    (check,) = [
        check
        for check in decide(evidence(corrections=part)).checks
        if check.kind == "held-out corrections"
    ]
    return sentence(check)


def test_corruption_slice_and_acceptance_floor_are_held():
    refused = failed(
        decide(evidence(slices=slices(corrupted=lose(paired("corrupted images"), 60))))
    )
    assert refused == [
        f"{name}, against the {old}"
        for old in ("champion", "reference")
        for name in ("all test images together", "corrupted images")
    ]
    site = lose(paired("site-a", 100, right=0.97, floor=0.95), 5)
    assert failed(decide(evidence(acceptance=(site,)))) == ["acceptance set site-a"]


def test_an_acceptance_set_below_its_floor_does_not_block_a_better_model_for_ever():
    part = paired("site-a", 100, right=0.5, floor=0.95)
    better = part.challenger.copy()
    better[60] = True
    decision = decide(evidence(acceptance=(replace(part, challenger=better),)))
    assert decision.passed
    assert any("below it, but no worse" in reason for reason in why(decision))


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"load_error": "InvalidProtobuf"}, "serving path"),
        (
            {"challenger_labels": ("AbdomenCT", "ChestCT", "CXR")},
            "label order, against the champion",
        ),
        ({"challenger_labels": ("CXR", "ChestCT")}, "label order, against the champion"),
        ({"champion_labels": ()}, "label order, against the champion"),
        ({"golden_error": 0.2}, "golden predictions"),
        ({"golden_error": float("nan")}, "golden predictions"),
        ({"challenger_ms": 0.41}, "latency, against the champion"),
        ({"challenger_ms": float("nan")}, "latency, against the champion"),
    ],
)
def test_an_artifact_that_would_not_serve_is_refused(change: dict, check: str):
    facts = replace(evidence().infrastructure, **change)
    assert check in failed(decide(evidence(infrastructure=facts)))


def test_of_a_file_that_does_not_load_that_is_the_only_reason():
    facts = Infrastructure("InvalidProtobuf", (), (), float("inf"), 0.0, float("inf"), 0.0)
    nothing = Paired("base test", *(np.zeros(0, dtype=bool),) * 2, np.zeros(0, np.int64))
    decision = decide(Evidence(infrastructure=facts, base=nothing, calibration=None))
    assert not decision.passed
    assert why(decision) == ["serving path: the model file does not serve: InvalidProtobuf"]


@pytest.mark.parametrize("missing", SLICES)
def test_no_model_is_let_through_without_a_slice_that_the_gate_needs(missing: str):
    rest = tuple(part for part in slices() if part.name != missing)
    decision = decide(evidence(slices=rest))
    assert failed(decision)
    assert {check.finding for check in decision.checks if not check.passed} == {"not measured"}
    assert why(decision)[0].endswith(": not measured, and no model is let through without")


def test_without_any_slice_there_is_no_yes():
    assert len(failed(decide(evidence(slices=())))) == 6


@pytest.mark.parametrize("part", [0, 1])
def test_a_model_that_is_sure_of_nothing_is_refused(part: int):
    """It makes no errors among its confident answers, either."""
    parts = list(evidence().confident)
    parts[part] = replace(parts[part], challenger=np.zeros(600, dtype=bool))
    names = ["confident share base test", "confident share corrupted images"]
    assert failed(decide(evidence(confident=tuple(parts)))) == [names[part]]
    assert failed(decide(evidence(confident=(evidence().confident[1 - part],)))) == [names[part]]


@pytest.mark.parametrize(("lost", "passes"), [(60, True), (61, False)])
def test_ten_points_of_confident_answers_may_be_lost_and_not_ten_more_each_week(
    lost: int, passes: bool
):
    base, corrupted = evidence().confident
    fewer = lose(base, lost)
    assert decide(evidence(confident=(fewer, corrupted))).passed == passes
    followed = replace(fewer, champion=fewer.challenger.copy())  # the reference stays where it was
    assert decide(evidence(confident=(followed, corrupted))).passed == passes


def test_calibration_does_not_get_worse_a_little_every_week():
    """The limit is that of the better of champion and reference, and 0.02 at the least."""
    assert decide(evidence(calibration=replace(CALIBRATED, challenger_ece=0.02))).passed
    eroded = replace(CALIBRATED, champion_ece=0.03, challenger_ece=0.035)
    assert failed(decide(evidence(calibration=eroded))) == ["calibration"]
    assert decide(evidence(calibration=replace(eroded, reference_ece=0.028))).passed
    sloppy = replace(CALIBRATED, champion_confident_errors=0.03, challenger_confident_errors=0.03)
    assert failed(decide(evidence(calibration=sloppy))) == ["calibration"]


def test_swapped_labels_are_refused_and_an_added_class_is_not():
    """The published system ordered labels one way in training and another in serving."""
    facts = evidence().infrastructure
    swapped = replace(facts, challenger_labels=("AbdomenCT", "ChestCT", "CXR"))
    assert any("reordered" in reason for reason in why(decide(evidence(infrastructure=swapped))))
    added = replace(facts, challenger_labels=(*LABELS, "Knee"))
    assert decide(evidence(infrastructure=added)).passed


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"base": paired("base test", 0)}, "base test, against the champion"),
        ({"base": paired("base test", reference=None)}, "base test, against the reference"),
        ({"base": paired("base test", classes=None)}, "class, against the champion"),
        (
            {"base": paired("base test", champion=np.ones(3, bool))},
            "base test, against the champion",
        ),
        (
            {"slices": slices(corrupted=paired("corrupted images", 0))},
            "corrupted images, against the champion",
        ),
        (
            {"slices": slices(corrupted=paired("corrupted images", reference=None))},
            "corrupted images, against the reference",
        ),
        ({"base": paired("base test", reference=None)}, "class CXR, against the reference"),
        ({"confident": ()}, "confident share base test"),
        ({"confident": (paired("base test", reference=None),)}, "confident share base test"),
        ({"confident": (paired("base test", 0),)}, "confident share base test"),
        (
            {"corrections": paired("held-out corrections", 0)},
            "held-out corrections, against the champion",
        ),
        ({"acceptance": (paired("site-a", 0, floor=0.9),)}, "acceptance set site-a"),
        ({"acceptance": (paired("site-a", 10),)}, "acceptance set site-a"),
        ({"calibration": None}, "calibration"),
        ({"calibration": replace(CALIBRATED, challenger_ece=float("nan"))}, "calibration"),
        ({"calibration": replace(CALIBRATED, champion_ece=float("nan"))}, "calibration"),
        ({"calibration": replace(CALIBRATED, reference_ece=float("nan"))}, "calibration"),
        ({"calibration": replace(CALIBRATED, challenger_ece=0.06)}, "calibration"),
        ({"calibration": replace(CALIBRATED, challenger_confident_errors=0.05)}, "calibration"),
    ],
)
def test_what_is_missing_empty_or_not_a_number_is_refused(change: dict, check: str):
    decision = decide(evidence(**change))
    assert not decision.passed
    assert check in failed(decision)


def test_too_few_base_images_support_no_yes_and_that_is_the_reason():
    decision = decide(evidence(base=paired("base test", 30)))
    (check,) = [c for c in decision.checks if c.subject == "base test" and c.against == "champion"]
    assert check.finding == "too little evidence to exclude a loss"
    worse = decide(evidence(base=lose(paired("base test"), 20)))
    (check,) = [c for c in worse.checks if c.subject == "base test" and c.against == "champion"]
    assert check.finding == "evidence of a relevant loss"


def test_the_ends_of_the_threshold_are_judged_together():
    """What is lost of one end may be made up for at the other, at their rate of exchange."""
    known = paired(KNOWN, 5105, right=1.0)
    fewer = lose(known, 24)
    unknown = paired(UNKNOWN, 1500, right=0.8)
    better = replace(unknown, challenger=unknown.challenger | (np.arange(1500) % 100 < 92))
    parts = slices(known=fewer, unknown=better)
    assert decide(evidence(slices=parts)).passed
    refused = failed(decide(evidence(slices=slices(known=fewer, unknown=unknown))))
    assert "threshold for unknown, against the champion" in refused


def test_a_threshold_at_which_nothing_is_unknown_is_refused():
    open_to_all = replace(paired(UNKNOWN, right=0.95), challenger=np.zeros(600, dtype=bool))
    refused = failed(decide(evidence(slices=slices(unknown=open_to_all))))
    assert "threshold for unknown, against the champion" in refused


def test_a_model_that_is_better_in_all_but_fourteen_images_passes():
    """Base 99.65 → 99.96 %, corrupted +2.7 points, unknown +12; 14 of 5,105 more called unknown."""
    n = 5105
    base = paired("base test", n, right=1.0)
    base = replace(base, champion=np.arange(n) >= 18, reference=np.arange(n) >= 18)
    base = replace(base, challenger=np.arange(n) >= 2)
    before, after = np.arange(6000) >= 390, np.arange(6000) >= 228
    corrupted_images = paired(CORRUPTED, 6000, champion=before, reference=before, challenger=after)
    old, new = np.arange(1500) >= 300, np.arange(1500) >= 120
    unknown = paired(UNKNOWN, 1500, champion=old, reference=old, challenger=new)
    parts = slices(
        corrupted=corrupted_images,
        unknown=unknown,
        known=lose(paired(KNOWN, n, right=1.0), 14),
    )
    assert decide(evidence(base=base, slices=parts)).passed


def test_the_levels_of_the_family_add_up_to_five_percent():
    assert sum(sum(levels.values()) for levels in LEVELS.values()) == pytest.approx(0.05)


def test_a_decision_is_plain_json():
    broken = decide(evidence(calibration=replace(CALIBRATED, challenger_ece=float("nan"))))
    found = replace(report(passed=False), decision=broken)
    assert b"NaN" not in found.to_json()


PARTS = st.sampled_from(["base", "corrections", "slices", "confident", "acceptance"])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_gate_never_likes_a_worse_challenger_better(data: st.DataObject):
    """Whatever was measured: fewer right answers turn no check from "no" to "yes". (Calibration
    counts none.)
    """
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    given_evidence = evidence(
        base=_noisy(paired("base test", 300), rng),
        corrections=_noisy(
            paired("held-out corrections", data.draw(st.sampled_from([30, 400])), right=0.5), rng
        ),
        slices=tuple(_noisy(paired(name, 200, right=0.9), rng) for name in SLICES),
        confident=tuple(_noisy(part, rng) for part in evidence().confident),
        acceptance=(_noisy(paired("site-a", 50, right=0.96, floor=0.95), rng),),
    )
    part = data.draw(PARTS)
    worse = replace(given_evidence, **{part: _spoil(getattr(given_evidence, part), rng)})
    before, after = decide(given_evidence), decide(worse)
    assert before.passed or not after.passed
    for old, new in zip(before.checks, after.checks, strict=True):
        assert old.passed or not new.passed, (old, new)


def _noisy(part: Paired, rng: np.random.Generator) -> Paired:
    flips = rng.random(len(part.challenger)) < rng.choice([0.0, 0.005, 0.02, 0.1])
    groups = rng.integers(0, rng.choice([3, 20, 1000]), len(part.challenger))
    return replace(part, challenger=part.challenger ^ flips, groups=groups)


def _spoil(value, rng: np.random.Generator):
    if isinstance(value, tuple):
        return tuple(_spoil(item, rng) for item in value)
    spoilt = value.challenger & ~(rng.random(len(value.challenger)) < rng.choice([0.01, 0.1, 0.5]))
    return dataclasses.replace(value, challenger=spoilt)
