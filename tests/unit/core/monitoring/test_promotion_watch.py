"""The watch over a fresh promotion."""

from __future__ import annotations

from tests.events import correction, sha256_of

from medloop.core.monitoring.promotion_watch import Seen, count_answers, judge

QUIET = Seen(answers=0, wrong=0, predictions=0, unknown=0)


def answers(wrong: int, n: int) -> Seen:
    return Seen(answers=n, wrong=wrong, predictions=0, unknown=0)


def unknowns(unknown: int, n: int) -> Seen:
    return Seen(answers=0, wrong=0, predictions=n, unknown=unknown)


def test_without_answers_there_is_nothing_to_say_and_no_alarm():
    found = judge(QUIET, answers(3, 50))
    assert not found.alarm
    assert "nothing to compare yet" in found.reasons[0]


def test_many_more_corrections_raise_the_alarm_even_with_few_answers():
    found = judge(answers(9, 12), answers(5, 60))
    assert found.alarm
    assert "9 of 12 images (75.0 %), before the promotion 5 of 60 (8.3 %)" in found.reasons[0]


def test_a_few_wrong_answers_are_no_alarm():
    assert not judge(answers(2, 5), answers(5, 60)).alarm
    assert not judge(answers(1, 1), answers(5, 60)).alarm


def test_more_unknown_images_raise_the_alarm():
    assert judge(unknowns(80, 200), unknowns(20, 300)).alarm
    assert not judge(unknowns(20, 200), unknowns(20, 300)).alarm


def test_a_difference_that_is_significant_but_small_is_no_alarm():
    assert not judge(unknowns(600, 20_000), unknowns(400, 20_000)).alarm


def test_a_better_version_never_raises_it():
    assert not judge(answers(0, 100), answers(50, 100)).alarm


def test_the_last_answer_to_an_image_counts_and_other_versions_do_not():
    image, other = sha256_of(1), sha256_of(2)
    given = [
        correction(image, "CXR", model_version="2"),  # agrees with the prediction of tests.events
        correction(image, "Hand", model_version="2"),
        correction(other, "CXR", model_version="2"),
        correction(sha256_of(3), "Hand", model_version="1"),
        correction(sha256_of(4), "Hand", model_version="2", predicted_label=None),
    ]
    assert count_answers(given, "2") == (2, 1)


def test_agreeing_that_an_image_is_unknown_is_no_correction():
    given = [
        correction(sha256_of(1), None, model_version="2", verdict="unknown"),
        correction(sha256_of(2), "CXR", model_version="2", verdict="unknown"),
    ]
    assert count_answers(given, "2") == (2, 1)
