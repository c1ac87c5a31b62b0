"""What became of a correction, step by step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medloop.app.corrections.journey import (
    LearningOutcome,
    Said,
    describe_prediction,
    label_of,
    last_said,
    may_withdraw,
    steps,
    timeline,
)
from medloop.core.corrections.correction_policy import PolicyDecision
from medloop.core.corrections.events import Correction, Review
from medloop.core.corrections.fold import ImageState
from medloop.core.prediction.predictor import Prediction
from medloop.stores.outbox import OutboxEntry

IMAGE = "a" * 64
CORRECTION = Correction(
    id="018f0000-0000-7000-8000-000000000001",
    at="2026-11-02T10:00:00.000+00:00",
    image_sha256=IMAGE,
    given_label="Hand",
    predicted_label="CXR",
    confidence=0.62,
    verdict="unsure",
    model_version="3",
    who="ada",
)
STORED = Said(CORRECTION, "stored", withdrawn=False)


def decided(verdict: str, *reasons: str) -> PolicyDecision:
    return PolicyDecision(ImageState(IMAGE, "unreviewed", label="Hand"), verdict, reasons)  # type: ignore[arg-type]


def learned(
    label: str = "Hand", verdict: str = "confident", use: str | None = "trained"
) -> LearningOutcome:
    prediction = Prediction(label, 0.9, verdict, {label: 0.9}, 0.0, np.zeros(2), None)  # type: ignore[arg-type]
    return LearningOutcome("7", use, prediction)


def texts(said: Said = STORED, **facts) -> list[str]:
    return [
        step.text
        for step in steps(said, **{"decision": None, "snapshot": None, "learned": None} | facts)
    ]


def test_a_correction_that_waits_for_the_store_says_so():
    assert texts(replace(STORED, state="pending"))[:2] == ["Saved here", "Waits for the store"]


def test_a_stored_one_waits_for_the_next_training():
    assert texts()[:3] == ["Saved here", "Stored", "Waits for the next training"]


def test_one_in_review_says_why():
    way = texts(decision=decided("pending", "people disagree: CXR, Hand"), snapshot="s" * 16)
    assert way[2] == "In review: people disagree: CXR, Hand"


def test_one_in_review_says_so_before_any_snapshot():
    assert texts(decision=decided("pending", "people disagree: CXR, Hand"))[2].startswith(
        "In review"
    )


def test_what_a_reviewer_says_instead_is_what_a_version_must_get_right():
    relabelled = PolicyDecision(ImageState(IMAGE, "approved", label="CXR"), "accepted")
    assert label_of(CORRECTION, relabelled) == "CXR"
    assert texts(decision=relabelled)[2:4] == [
        "A reviewer says: Chest X-ray",
        "Waits for the next training",
    ]
    way = texts(decision=relabelled, snapshot="s" * 16, learned=learned("CXR"))
    assert way[-1] == "Version 7 now gets this one right"


def test_what_cannot_be_asked_is_not_guessed():
    assert texts(asked=False)[2:] == ["What came next is not known at the moment"]


def test_a_rejected_one_says_why_and_ends():
    assert (
        texts(decision=decided("rejected", "blurred"), snapshot="s" * 16)[-1] == "Not used: blurred"
    )


def test_an_accepted_one_waits_for_a_version():
    way = texts(decision=decided("accepted"), snapshot="s" * 16)
    assert way[-2:] == ["In snapshot ssssssss", "Waits for a version that learns it"]


def test_a_learned_one_says_whether_it_is_right_now():
    facts = {"decision": decided("accepted"), "snapshot": "s" * 16}
    assert texts(**facts, learned=learned())[-2:] == [
        "Version 7 learned from it",
        "Version 7 now gets this one right",
    ]
    assert texts(**facts, learned=learned("CXR"))[-1] == "Version 7 still says Chest X-ray"
    assert texts(**facts, learned=learned(verdict="unknown"))[-1] == "Version 7 still says unknown"


def test_none_of_these_is_right_when_the_model_says_unknown():
    said = replace(STORED, correction=replace(CORRECTION, given_label=None))
    way = texts(
        said, decision=decided("accepted"), snapshot="s" * 16, learned=learned(verdict="unknown")
    )
    assert way[-1] == "Version 7 now gets this one right"


@pytest.mark.parametrize(
    ("use", "says"),
    [
        ("held out", "Kept for testing"),
        ("twin of a held-out one", "nearly the same"),
        ("in the base test", "among the test pictures"),
        ("an acceptance picture", "Not learned from: an acceptance picture"),
    ],
)
def test_what_a_training_did_with_the_picture_is_told(use, says):
    way = texts(decision=decided("accepted"), snapshot="s" * 16, learned=learned(use=use))
    assert says in way[-2]


def test_a_version_that_did_not_have_it_leaves_it_waiting():
    way = texts(decision=decided("accepted"), snapshot="s" * 16, learned=learned(use=None))
    assert way[-1] == "Waits for a version that learns it"


def test_a_withdrawn_one_ends_there():
    assert texts(replace(STORED, withdrawn=True)) == ["Saved here", "Taken back"]


def test_only_the_last_word_on_each_picture_counts():
    other = replace(CORRECTION, id="2", image_sha256="b" * 64)
    again = replace(CORRECTION, id="3", given_label="HeadCT")
    back = Review(
        id="4", at=again.at, image_sha256="b" * 64, action="withdraw", label=None, who="ada"
    )
    history = [
        OutboxEntry(back, "stored"),
        OutboxEntry(again, "pending"),
        OutboxEntry(other, "stored"),
        OutboxEntry(CORRECTION, "stored"),
    ]
    found = last_said(history)
    assert [(said.correction.id, said.withdrawn) for said in found] == [("3", False), ("2", True)]


def test_a_correction_can_be_taken_back_until_a_snapshot_holds_it():
    assert may_withdraw(STORED, in_snapshot=False)
    assert not may_withdraw(STORED, in_snapshot=True)
    assert not may_withdraw(replace(STORED, withdrawn=True), in_snapshot=False)
    assert not may_withdraw(STORED, in_snapshot=None), "not known"
    assert may_withdraw(replace(STORED, state="pending"), in_snapshot=None), (
        "what waits here is in no snapshot"
    )


def test_what_the_model_had_said_is_told_in_words():
    assert describe_prediction(CORRECTION) == "Instead of version 3: Chest X-ray, 62 %."
    assert describe_prediction(replace(CORRECTION, given_label="CXR")).startswith("You agreed with")
    assert (
        describe_prediction(replace(CORRECTION, predicted_label=None)) == "No model had answered."
    )


def test_the_timeline_escapes_what_people_wrote():
    way = steps(STORED, decision=decided("rejected", "<script>"), snapshot="s", learned=None)
    assert "<script>" not in timeline(way)
    assert "&lt;script&gt;" in timeline(way)
