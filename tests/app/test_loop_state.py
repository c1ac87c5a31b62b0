"""The loop on the Home page: what answers, what waits, what comes next, and if it can be
believed.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.app.apptest import texts
from tests.events import correction

from medloop.app.home.home_page import FIRST_STEPS
from medloop.app.home.loop_state import next_training, promise, waiting
from medloop.app.kit.access import ROLES

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def test_every_role_has_a_first_step():
    assert set(FIRST_STEPS) == set(ROLES)


@pytest.mark.parametrize(
    ("left", "value"), [({"days": 2, "hours": 5}, "in 2 days"), ({"hours": 1}, "in 1 hour")]
)
def test_the_next_training_is_told_in_days_or_hours(left, value):
    fact = next_training((NOW + timedelta(**left)).isoformat(), now=NOW)
    assert fact.value == value
    assert fact.about.endswith("UTC")


def test_what_is_not_planned_is_not_told():
    assert next_training(None, now=NOW).value == "Not planned"


def test_corrections_behind_the_latest_snapshot_wait():
    first, second = correction("a" * 64), correction("b" * 64)
    assert waiting([first, second], snapshot_until=first.id).value == "1"
    assert waiting([first, second], snapshot_until="").value == "2"


def test_the_promise_is_judged_by_confident_answers_that_people_checked_lately():
    lately, long_ago = NOW - timedelta(days=1), NOW - timedelta(days=60)
    events = [
        *(correction("a" * 64, "CXR", at=lately) for _ in range(3)),
        correction("b" * 64, "Hand", at=lately),
        correction("c" * 64, "Hand", at=lately, verdict="unsure"),
        correction("d" * 64, "Hand", at=long_ago),
    ]
    fact = promise(events, now=NOW)
    assert (fact.value, "of 4 confident answers" in fact.about) == ("75.0 %", True)
    assert promise(events[4:], now=NOW).value == "Not known"


def test_home_tells_what_answers_and_what_waits(site, run_page):
    site.say(50, "Hand")
    page = texts(run_page("home"))
    assert "Answers now Version 1" in page
    assert "New corrections 1" in page
    assert "Next training Not planned" in page
    assert "Confident and right 0 %" in page
