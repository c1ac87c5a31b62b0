"""Versions, reports and promotions as the Models page shows them."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.app.reports import report

from medloop.app import charts, models_view
from medloop.core.events import Promotion
from medloop.jobs import evaluate
from medloop.stores.registry import ModelVersion

VERSION = ModelVersion(
    version="7",
    run_id="run-7",
    aliases=("reference", "champion"),
    tags={"gate": "no", "gate_reasons": "worse\nslower", "corrections": "12", "accuracy": "0.9912"},
    created_at=datetime(2026, 11, 2, tzinfo=UTC),
)


def test_the_name_of_the_report_is_the_one_that_the_job_writes():
    assert models_view.REPORT_FILE == evaluate.REPORT_FILE


def test_a_version_is_told_by_its_tags():
    row = models_view.version_row(VERSION)
    assert (row.roles, row.gate, row.reasons) == (("champion", "reference"), "no", ("worse", "slower"))
    assert (row.corrections, row.accuracy) == ("12", 0.9912)


def test_a_version_without_tags_has_no_scores():
    row = models_view.version_row(ModelVersion("1", "r", (), {}, VERSION.created_at))
    assert (row.gate, row.reasons, row.accuracy, row.corrections) == ("", (), None, "0")


def test_scores_over_versions_have_a_point_a_class():
    metrics = {"challenger/accuracy": 0.9, "validation_accuracy": 0.5, "challenger/recall/CXR": 0.8, "loss": 3.0}
    points = models_view.metric_points([("1", {"validation_accuracy": 0.7}), ("2", metrics)])
    assert points == [
        {"version": 1, "what": "all classes", "score": 0.7},
        {"version": 2, "what": "all classes", "score": 0.9},
        {"version": 2, "what": "Chest X-ray", "score": 0.8},
    ]


def test_the_gates_no_names_what_failed():
    assert models_view.verdict(report(passed=False)) == (
        "The gate said no to version 2, against version 1: base test against the champion."
    )


def test_the_gates_yes_says_how_much_it_looked_at():
    assert models_view.verdict(report(passed=True)).endswith("all 2 checks passed.")


def test_failed_checks_come_first_with_their_numbers():
    rows = models_view.check_rows(report(passed=False))
    assert [row.passed for row in rows] == [False, True]
    assert rows[0].observed == 100 * (5 - 1) / 200
    assert (rows[0].bound, rows[0].margin) == (4.0, 1.0)
    assert rows[1].observed is None


def test_the_confusion_matrix_knows_what_is_right():
    cells = models_view.confusion_cells(report(passed=True)["scores"]["challenger"])
    assert [cell["count"] for cell in cells] == [90, 10, 0, 100]
    assert [cell["right"] for cell in cells] == [True, False, False, True]
    assert cells[0]["share"] == 0.9


def test_reliability_compares_champion_and_challenger():
    points = models_view.reliability_points(report(passed=True))
    assert {point["model"] for point in points} == {"champion", "challenger"}


def test_a_promotion_reads_as_a_sentence():
    move = Promotion(
        id="1",
        at="2026-11-02T10:00:00+00:00",
        model="m",
        action="rollback",
        from_version="3",
        to_version="2",
        by="ada",
        reason="worse on hands",
    )
    assert models_view.promotion_sentence(move) == (
        "Version 2 was brought back instead of version 3, by ada: worse on hands"
    )
    assert models_view.promotion_points([move])[0]["version"] == 2


def test_charts_hold_their_rows():
    rows = [{"version": 1, "what": "all classes", "score": 0.7}]
    assert charts.scores_over_versions(rows)["data"] == {"values": rows}
    assert charts.gate_checks([])["layer"][0]["mark"]["type"] == "rule"


def test_slices_are_plotted_over_versions_where_reports_hold_them():
    body = report(passed=True)
    old = {**body, "version": "1", "decision": {"checks": [{"name": "base test", "numbers": {}}]}}
    assert models_view.slice_points([body, old]) == [{"version": 2, "what": "base test", "score": 0.95}]
