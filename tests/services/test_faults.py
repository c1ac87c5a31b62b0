"""The fault run in short: `python -m benchmarks.corrections faults` is the long one, over the whole
stack.
"""

from __future__ import annotations

import pytest
from benchmarks.corrections.faults import store_faults

pytestmark = pytest.mark.services


def test_killed_front_ends_and_s3_lose_double_and_mislabel_nothing() -> None:
    found = store_faults(rounds=6, seed=4)
    assert found["killed"].keys() == {"front end", "S3"}
    assert found["acknowledged"] > 20
    assert found["stored"] >= found["acknowledged"]
    assert {
        name: found[name] for name in ("lost", "doubled", "wrong", "not_in_the_snapshot", "pending")
    } == {"lost": 0, "doubled": 0, "wrong": 0, "not_in_the_snapshot": 0, "pending": 0}
    assert found["unanswered"] == 0, found["why"]
