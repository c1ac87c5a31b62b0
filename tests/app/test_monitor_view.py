"""What people's answers say about the model."""

from __future__ import annotations

from dataclasses import replace

from tests.app.test_journey import CORRECTION

from medloop.app.monitor import monitor_view
from medloop.core.corrections.events import Correction, Review
from medloop.core.monitoring.drift import Drift
from medloop.stores.predictions import PredictionLine

CONFIRMED = replace(CORRECTION, given_label="CXR")
UNPREDICTED = replace(CORRECTION, predicted_label=None)
REVIEW = Review(
    id="r", at=CORRECTION.at, image_sha256="a" * 64, action="approve", label=None, who="eve"
)

LINE = PredictionLine(
    "2026-11-02T08:00:00+00:00", "a" * 64, "Hand", 0.9, "confident", 0.1, "1", "page", 0.2
)


def share(successes: int, n: int) -> tuple[float, float]:
    return max(successes / n - 0.1, 0.0), min(successes / n + 0.1, 1.0)


def test_only_answers_to_predictions_count():
    assert monitor_view.answers([CORRECTION, UNPREDICTED, REVIEW, CONFIRMED]) == [
        CORRECTION,
        CONFIRMED,
    ]


def test_none_of_these_agrees_with_unknown():
    unknown = replace(CORRECTION, verdict="unknown", given_label=None)
    assert unknown.agrees
    assert not replace(unknown, given_label="CXR").agrees
    assert not replace(CORRECTION, given_label=None).agrees


def test_answers_are_counted_by_day_and_kind():
    events = [CORRECTION, CONFIRMED, CONFIRMED, replace(CONFIRMED, at="2026-11-03T00:00:00+00:00")]
    told = [(c.at, "confirmed" if c.agrees else "corrected") for c in events]
    assert monitor_view.count_per_day(told) == [
        {"day": "2026-11-02", "what": "confirmed", "count": 2},
        {"day": "2026-11-02", "what": "corrected", "count": 1},
        {"day": "2026-11-03", "what": "confirmed", "count": 1},
    ]


def test_the_share_of_corrections_has_its_interval():
    (row,) = monitor_view.correction_rates([CORRECTION, CONFIRMED], by="class", interval=share)
    assert row == {"what": "Chest X-ray", "share": 0.5, "low": 0.4, "high": 0.6, "n": 2}
    (row,) = monitor_view.correction_rates([CORRECTION], by="version", interval=share)
    assert row["what"] == "version 3"


def test_a_days_values_are_told_by_their_middle_and_where_most_lie():
    (row,) = monitor_view.spread_per_day([(LINE.at, value / 10) for value in range(11)])
    assert row == {"day": "2026-11-02", "low": 0.1, "middle": 0.5, "high": 0.9, "n": 11}


def test_drift_is_told_with_its_interval_and_not_from_a_handful():
    assert (
        monitor_view.drift_sentence("are odd", Drift(3, 10, 0.1, 0.6))
        == "10 pictures so far: 50 are needed to tell."
    )
    told = monitor_view.drift_sentence("are odd", Drift(24, 200, 0.08, 0.17))
    assert told == (
        "12 % of 200 pictures are odd (probably between 8 % and 17 %); about 5 % is usual. No "
        "drift to be seen."
    )
    assert "That is drift: the pictures have changed." in monitor_view.drift_sentence(
        "are odd", Drift(60, 200, 0.24, 1)
    )


def test_the_promise_is_told_with_its_evidence_and_bound():
    def answer(number: int, given: str, **changes) -> Correction:
        fields = {
            "id": f"018f0000-0000-7000-8000-{number:012}",
            "image_sha256": f"{number:064x}",
            "verdict": "confident",
            "predicted_label": "CXR",
            "given_label": given,
        }
        return replace(CORRECTION, **{**fields, **changes})

    answers = [answer(number, "CXR") for number in range(213)]
    answers += [answer(213, "Hand"), answer(214, "Hand", verdict="unsure")]
    answers.append(answer(500, "CXR", image_sha256=f"{5:064x}"))  # the same picture again
    assert monitor_view.promise_sentence(answers) == (
        "Of 214 confident answers of version 3 that people checked since 2026-11-02, 213 were "
        "right: at least 96.9 %. 99 % are promised."
    )
    assert monitor_view.promise_sentence([]) == ""
    assert monitor_view.promise_sentence([answer(1, "CXR", verdict="unsure")]) == ""
