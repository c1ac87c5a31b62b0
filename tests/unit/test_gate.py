"""What the gate lets through, and what never."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medloop.core.decision import Decision
from medloop.core.gate import Calibration, Evidence, Infrastructure, Paired, decide

LABELS = ("AbdomenCT", "CXR", "ChestCT")


def paired(name: str, n: int = 600, *, right: float = 0.99, floor: float | None = None, **changes) -> Paired:
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
        calibration=Calibration(0.01, 0.01, 0.001, 0.001),
        corrections=paired("held-out corrections", 20, right=0.5),
        slices=(paired("corrupted images", right=0.9),),
        acceptance=(paired("site-a", 100, right=0.97, floor=0.95),),
    )
    return replace(whole, **changes)


def failed(decision: Decision) -> list[str]:
    return [check.name for check in decision.checks if not check.passed]


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
    assert any("of 600 images" in reason and "allowed for this many images" in reason for reason in decision.reasons)


def test_a_worse_base_test_is_refused():
    decision = decide(evidence(base=lose(paired("base test"), 20)))
    assert not decision.passed
    assert "base test against the champion" in failed(decision)
    assert any("lost 20, gained 0" in reason for reason in decision.reasons)


def test_slow_drift_is_caught_by_the_frozen_reference():
    """Not worse than a champion that is itself worse than the reference: still a "no"."""
    base = lose(paired("base test"), 20)
    decision = decide(evidence(base=replace(base, champion=base.challenger.copy())))
    assert failed(decision) == ["base test against the reference"]


def test_collapse_of_one_class_is_refused():
    decision = decide(evidence(base=lose(paired("base test"), 30, of_class="CXR")))
    assert "class CXR" in failed(decision)
    assert "class AbdomenCT" not in failed(decision)


def test_worse_on_held_out_corrections_is_refused_and_one_better_passes():
    part = paired("held-out corrections", 20, right=0.5)
    assert failed(decide(evidence(corrections=lose(part, 2)))) == ["held-out corrections"]
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
        (10, 1, 0, False),
        (10, 5, 5, True),
        (299, 1, 0, False),  # a single one of few is a "no"
        (299, 20, 19, False),
        (299, 20, 20, True),
        (300, 1, 0, True),  # of many, what the bound allows: 2.5 points at most
        (300, 2, 0, True),
        (300, 3, 0, False),
        (300, 40, 39, False),  # one lost in all, but perhaps many more
        (300, 40, 40, True),
        (1000, 14, 0, True),
        (1000, 20, 0, False),
        (1000, 25, 0, False),
    ],
)
def test_few_held_out_corrections_come_out_better_or_equal_and_many_not_worse(n, lost, gained, passes):
    decision = decide(evidence(corrections=held_out(n, lost=lost, gained=gained)))
    assert failed(decision) == ([] if passes else ["held-out corrections"])


def test_why_held_out_corrections_were_refused_is_said_in_words():
    assert corrections_reason(held_out(20, lost=2, gained=1)) == (
        "held-out corrections: worse than the champion, 45.00 % right, before 50.00 %, of 20 images; fewer than 300 have "
        "to come out better or equal"
    )
    assert "as good as the champion" in corrections_reason(held_out(20, lost=1, gained=1))
    assert "lost 9, gained 0" in corrections_reason(held_out(400, lost=9, gained=0))


def corrections_reason(part: Paired) -> str:
    (check,) = [check for check in decide(evidence(corrections=part)).checks if check.name == "held-out corrections"]
    return check.reason


def test_corruption_slice_and_acceptance_floor_are_held():
    refused = failed(decide(evidence(slices=(lose(paired("corrupted images"), 60),))))
    assert refused == ["corrupted images", "corrupted images, against the reference"]
    site = lose(paired("site-a", 100, right=0.97, floor=0.95), 5)
    assert failed(decide(evidence(acceptance=(site,)))) == ["acceptance set site-a"]


def test_an_acceptance_set_below_its_floor_does_not_block_a_better_model_for_ever():
    part = paired("site-a", 100, right=0.5, floor=0.95)
    better = part.challenger.copy()
    better[60] = True
    decision = decide(evidence(acceptance=(replace(part, challenger=better),)))
    assert decision.passed
    assert any("below it, but no worse" in reason for reason in decision.reasons)


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"load_error": "InvalidProtobuf"}, "serving path"),
        ({"challenger_labels": ("AbdomenCT", "ChestCT", "CXR")}, "label order"),
        ({"challenger_labels": ("CXR", "ChestCT")}, "label order"),
        ({"champion_labels": ()}, "label order"),
        ({"golden_error": 0.2}, "golden predictions"),
        ({"golden_error": float("nan")}, "golden predictions"),
        ({"challenger_ms": 0.41}, "latency"),
        ({"challenger_ms": float("nan")}, "latency"),
    ],
)
def test_an_artifact_that_would_not_serve_is_refused(change: dict, check: str):
    facts = replace(evidence().infrastructure, **change)
    assert check in failed(decide(evidence(infrastructure=facts)))


def test_swapped_labels_are_refused_and_an_added_class_is_not():
    """The published system ordered labels one way in training and another in serving."""
    facts = evidence().infrastructure
    swapped = replace(facts, challenger_labels=("AbdomenCT", "ChestCT", "CXR"))
    assert any("reordered" in reason for reason in decide(evidence(infrastructure=swapped)).reasons)
    added = replace(facts, challenger_labels=(*LABELS, "Knee"))
    assert decide(evidence(infrastructure=added)).passed


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"base": paired("base test", 0)}, "base test against the champion"),
        ({"base": paired("base test", reference=None)}, "base test against the reference"),
        ({"base": paired("base test", classes=None)}, "each class"),
        ({"base": paired("base test", champion=np.ones(3, bool))}, "base test against the champion"),
        ({"slices": (paired("corrupted images", 0),)}, "corrupted images"),
        ({"corrections": paired("held-out corrections", 0)}, "held-out corrections"),
        ({"acceptance": (paired("site-a", 0, floor=0.9),)}, "acceptance set site-a"),
        ({"acceptance": (paired("site-a", 10),)}, "acceptance set site-a"),
        ({"calibration": None}, "calibration"),
        ({"calibration": Calibration(float("nan"), 0.01, 0.0, 0.0)}, "calibration"),
        ({"calibration": Calibration(0.01, float("nan"), 0.0, 0.0)}, "calibration"),
        ({"calibration": Calibration(0.06, 0.01, 0.0, 0.0)}, "calibration"),
        ({"calibration": Calibration(0.01, 0.01, 0.05, 0.0)}, "calibration"),
    ],
)
def test_what_is_missing_empty_or_not_a_number_is_refused(change: dict, check: str):
    decision = decide(evidence(**change))
    assert not decision.passed
    assert check in failed(decision)


def test_too_few_base_images_support_no_yes():
    decision = decide(evidence(base=paired("base test", 30)))
    assert "base test against the champion" in failed(decision)


def test_a_decision_is_plain_json():
    body = decide(evidence(calibration=Calibration(float("nan"), 0.0, 0.0, 0.0))).to_dict()
    assert json.loads(json.dumps(body, allow_nan=False)) == json.loads(json.dumps(body))


PARTS = st.sampled_from(["base", "corrections", "slices", "acceptance"])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_gate_never_likes_a_worse_challenger_better(data: st.DataObject):
    """Whatever was measured: getting more images wrong turns no check from "no" to "yes"."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    given_evidence = evidence(
        base=_noisy(paired("base test", 300), rng),
        corrections=_noisy(paired("held-out corrections", data.draw(st.sampled_from([30, 400])), right=0.5), rng),
        slices=(_noisy(paired("corrupted images", 200, right=0.9), rng),),
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
