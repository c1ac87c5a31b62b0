"""The words under a picture."""

from dataclasses import replace

import numpy as np
import pytest

from medloop.app.kit.wording import (
    advice,
    class_name,
    count_of,
    familiarity,
    need,
    percent,
    ranked,
    unfamiliarity,
)
from medloop.core.prediction.predictor import Prediction


def prediction(verdict: str = "confident", **probabilities: float) -> Prediction:
    probabilities = probabilities or {"CXR": 0.7, "ChestCT": 0.2, "Hand": 0.1}
    label = max(probabilities, key=probabilities.__getitem__)
    return Prediction(
        label=label,
        confidence=probabilities[label],
        verdict=verdict,  # type: ignore[arg-type]
        probabilities=probabilities,
        ood_score=1.5,
        embedding=np.zeros(4, np.float32),
        cam=None,
    )


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("AbdomenCT", "Abdomen CT"),
        ("BreastMRI", "Breast MRI"),
        ("CXR", "Chest X-ray"),
        ("Hand", "Hand"),
        ("left_knee", "left knee"),
        (None, "None of these"),
    ],
)
def test_a_class_is_named_as_people_write_it(label, shown):
    assert class_name(label) == shown


@pytest.mark.parametrize(
    ("probability", "shown"),
    [(1.0, "100 %"), (0.9999, "over 99 %"), (0.42, "42 %"), (0.001, "under 1 %"), (0.0, "0 %")],
)
def test_a_probability_is_never_rounded_to_certainty(probability, shown):
    assert percent(probability) == shown


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (1.0, "100 %"),
        (0.99996, "over 99.9 %"),
        (0.9984, "99.8 %"),
        (0.0001, "under 0.1 %"),
        (0.0, "0 %"),
    ],
)
def test_a_share_with_a_place_behind_the_point_is_not_rounded_to_certainty_either(share, shown):
    assert percent(share, places=1) == shown


def test_a_confident_answer_says_how_sure_and_asks_for_a_confirmation():
    words = advice(prediction("confident", CXR=0.98, Hand=0.02))
    assert words.headline == "Chest X-ray"
    assert "98 %" in words.sentence
    assert "Confirm it" in words.sentence


def test_an_unsure_answer_names_the_runner_up():
    words = advice(prediction("unsure", CXR=0.6, ChestCT=0.4))
    assert words.headline == "Chest X-ray?"
    assert "perhaps Chest CT (40 %)" in words.sentence


def test_an_unknown_answer_does_not_claim_a_class():
    words = advice(prediction("unknown", Hand=1.0))
    assert "Hand" not in words.headline
    assert "none of these" in words.sentence


def test_one_class_alone_needs_no_runner_up():
    assert "perhaps" not in advice(prediction("unsure", Hand=0.6)).sentence


@pytest.mark.parametrize(
    ("doubt", "why"),
    [("colour", "the picture is in colour"), ("tags", "the file's own tags say otherwise")],
)
def test_what_a_file_says_against_an_answer_is_told_instead_of_a_runner_up(doubt, why):
    held_back = replace(prediction("unsure", CXR=0.9, ChestCT=0.1), doubt=doubt)
    assert advice(held_back).sentence.startswith(f"Probably Chest X-ray (90 %), but {why}")
    assert f"knows such pictures well, as Chest X-ray, but {why}" in familiarity(held_back)


def test_doubt_without_a_runner_up_is_told_as_unfamiliarity():
    sentence = advice(prediction("unsure", Hand=0.99, CXR=0.01)).sentence
    assert "perhaps" not in sentence
    assert "unlike what the model has learned" in sentence


def test_what_needs_a_person_comes_first():
    order = [
        prediction("unknown", A=0.9),
        prediction("unknown", A=0.99),
        prediction("unsure", A=0.3),
        prediction("unsure", A=0.6),
        prediction("confident", A=0.97),
        prediction("confident", A=0.99),
    ]
    shuffled = [order[place] for place in (3, 5, 0, 2, 4, 1)]
    assert sorted(shuffled, key=need) == order


def test_classes_are_ranked_by_probability_then_name():
    assert ranked(prediction(B=0.4, A=0.4, C=0.2)) == [("A", 0.4), ("B", 0.4), ("C", 0.2)]


def test_the_reason_for_unknown_is_told_without_a_number():
    told = familiarity(prediction("unknown", Hand=0.9, CXR=0.1))
    assert "little in common" in told
    assert "Hand is the closest" in told
    assert not any(letter.isdigit() for letter in told)


def test_the_reason_for_unsure_names_both_classes_that_fit():
    assert "both Chest X-ray and Chest CT fit" in familiarity(
        prediction("unsure", CXR=0.6, ChestCT=0.4)
    )
    assert "somewhat unlike" in familiarity(prediction("unsure", Hand=0.99, CXR=0.01))


def test_the_number_behind_the_reason_names_its_limit():
    assert unfamiliarity(ood_score=-4.71, limit=0.93).startswith("Unfamiliarity -4.71.")


def test_counts_agree_with_their_noun():
    assert [count_of(n, "picture") for n in (0, 1, 2)] == ["0 pictures", "1 picture", "2 pictures"]
