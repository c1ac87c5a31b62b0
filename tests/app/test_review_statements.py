"""Who said what about a picture that waits."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from tests.app.test_journey import CORRECTION

from medloop.app.review.review_statements import list_statements

NOW = datetime.fromisoformat(CORRECTION.at) + timedelta(hours=3)


def test_people_are_numbered_and_no_vote_is_lost():
    """Two answers of one person in the same hour had one line, as did two people of one name."""
    eve = replace(CORRECTION, who="5f1e", given_label=None)
    rows = list_statements(
        [CORRECTION, eve, replace(CORRECTION, given_label="HeadCT")], now=NOW, names=False
    )
    assert rows == [
        ("Person 1, 3 hours ago", "Hand"),
        ("Person 2, 3 hours ago", "None of these"),
        ("Person 1, 3 hours ago", "Head CT"),
        ("Model version 3", "Chest X-ray (62 %)"),
    ]


def test_a_remark_is_shown_with_its_answer():
    rows = list_statements([replace(CORRECTION, note="a plaster cast")], now=NOW, names=False)
    assert rows[0] == ("Person 1, 3 hours ago", "Hand: “a plaster cast”")


def test_names_are_shown_where_they_are_stored():
    assert list_statements([CORRECTION], now=NOW, names=True)[0] == ("ada, 3 hours ago", "Hand")


def test_a_picture_that_no_model_answered_has_people_alone():
    rows = list_statements(
        [replace(CORRECTION, predicted_label=None, confidence=None)], now=NOW, names=False
    )
    assert rows == [("Person 1, 3 hours ago", "Hand")]
