"""The gate's report in words."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from tests.app.reports import report

from medloop.app.models import gate_words
from medloop.core.corrections.events import Promotion
from medloop.core.gate.decision import Check, Decision
from medloop.core.gate.report import GateReport
from medloop.core.gate.rules import (
    SLICES,
    CalibrationScores,
    Evidence,
    Infrastructure,
    Paired,
    decide,
)

MOVE = Promotion(
    id="1",
    at="2026-11-02T10:00:00+00:00",
    model="m",
    action="promote",
    from_version="1",
    to_version="2",
    by="ada",
    reason="the gate said yes",
)
BACK = replace(
    MOVE,
    id="2",
    at="2026-11-03T10:00:00+00:00",
    action="rollback",
    to_version="1",
    reason="worse on hands",
)
JARGON = re.compile(
    r"e[+-]\d\d|calibration error|golden|serving path|contract|\(lost|challenger|CXR|ChestCT|base "
    r"test"
)


def judged(*, wrong: int) -> GateReport:
    """A report with every check that the gate makes, by the gate itself; the challenger gets
    `wrong` of 400 wrong.
    """
    truth = np.array(["CXR", "ChestCT"] * 200)
    right = np.ones(400, dtype=bool)
    worse = right.copy()
    worse[:wrong] = False
    groups = np.arange(400)

    def part(name: str, **more: object) -> Paired:
        return Paired(name, worse, right, groups, **more)  # type: ignore[arg-type]

    labels = ("CXR", "ChestCT")
    decision = decide(
        Evidence(
            infrastructure=Infrastructure("", labels, (*labels, "LeftKnee"), 0.0, 1e-3, 0.31, 0.29),
            base=part("base test", reference=right, classes=truth),
            calibration=CalibrationScores(
                0.0041, 0.0039, 0.0 if not wrong else 0.2, 0.0, 0.0039, 0.0
            ),
            slices=tuple(part(name, reference=right) for name in SLICES),
            confident=tuple(
                part(name, reference=right) for name in ("base test", "corrupted images")
            ),
        )
    )
    return replace(report(passed=True), decision=decision)


@pytest.mark.parametrize("wrong", [0, 90])
def test_no_check_speaks_the_gates_own_language(wrong):
    rows = gate_words.check_rows(judged(wrong=wrong))
    assert len(rows) == 21
    assert [row.sentence for row in rows if JARGON.search(row.sentence + row.name)] == []


def test_a_check_that_passed_says_how_much_is_right_and_was_before():
    rows = gate_words.check_rows(judged(wrong=0))
    sentences = {row.sentence for row in rows}
    assert "Chest X-ray: 100 % right, before 100 % of 200 pictures." in sentences
    assert "It knows the same classes in the same order and new ones: Left Knee." in sentences
    assert "One picture takes 0.3 ms, with the old version 0.3 ms." in sentences
    assert "No corrections are kept for testing yet." in sentences
    assert "Test pictures, right and confident: 100 %, before 100 %." in sentences
    assert (
        "Its percentages are off by 0.4 % on average, before by 0.4 %; 0 % of its confident "
        "answers are wrong." in sentences
    )


def test_what_failed_comes_first_and_says_what_would_be_allowed():
    rows = gate_words.check_rows(judged(wrong=90))
    assert [row.passed for row in rows] == sorted(row.passed for row in rows)
    first = next(row for row in rows if row.name == "All test pictures")
    assert first.sentence.startswith(
        "All test pictures: 77.5 % right, before 100 % of 400 pictures. That is hardly chance: it "
    )
    assert first.observed == 22.5
    assert gate_words.why_not(judged(wrong=90)).startswith(rows[0].sentence)
    assert gate_words.why_not(judged(wrong=0)) == ""


def test_what_fell_too_low_is_said_with_what_would_be_enough():
    sentences = {row.sentence for row in gate_words.check_rows(judged(wrong=90))}
    for name in ("Chest X-ray", "Chest CT"):
        (told,) = [s for s in sentences if s.startswith(f"{name}: ") and "At least" in s]
        assert told.endswith("At least 90 % must be.")
    (told,) = [s for s in sentences if s.startswith("The limit from which it says unknown: ")]
    assert told.endswith("One of the two is too low.")
    assert (
        "Test pictures with faults, right and confident: 77.5 %, before 100 %; at least 85.0 % "
        "must be." in sentences
    )


def test_a_check_that_these_words_do_not_know_is_told_in_the_gates():
    check = Check("tomorrow's check", "", "", True, {"speed": 3.0}, details=("all well",))
    (row,) = gate_words.check_rows(replace(report(passed=True), decision=Decision(True, (check,))))
    assert (row.name, row.sentence) == ("Tomorrow's check", "Tomorrow's check: all well.")


def test_the_verdict_says_what_was_compared_and_how_it_came_out():
    assert gate_words.verdict(report(passed=True)) == (
        "The gate said yes to version 2, against version 1: all 2 checks passed."
    )
    assert gate_words.verdict(report(passed=False)) == (
        "The gate said no to version 2, against version 1: 1 of 2 checks failed."
    )


@pytest.mark.parametrize(
    ("passed", "champion", "moves", "says"),
    [
        (True, "2", [MOVE], ""),
        (False, "1", [], ""),
        (False, "2", [MOVE], "It answers all the same: somebody promoted it by hand."),
        (True, None, [], "No version answers just now."),
        (True, "1", [], "Version 1 still answers: nobody has let version 2 take over yet."),
        (True, "1", [MOVE, BACK], "version 1 answers since 2026-11-03 10:00 UTC: worse on hands"),
        (True, "3", [], "By now version 3 answers, and that is not the one it was tested against."),
    ],
)
def test_a_yes_to_a_version_that_does_not_answer_is_explained(passed, champion, moves, says):
    told = gate_words.explain_standing(report(passed=passed), champion=champion, moves=moves)
    assert says in told
    assert bool(told) == bool(says)
