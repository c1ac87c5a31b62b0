"""Versions, reports and promotions as the Models page shows them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from tests.app.reports import report

from medloop.app.models import models_view
from medloop.core.corrections.events import Promotion
from medloop.core.gate.decision import Check, Decision
from medloop.stores.registry import ModelVersion
from medloop.stores.version_tags import VersionTags

VERSION = ModelVersion(
    version="7",
    run_id="run-7",
    aliases=("reference", "champion"),
    tags=VersionTags(gate="no", gate_reasons=("worse", "slower"), corrections=12, accuracy=0.9912),
    created_at=datetime(2026, 11, 2, tzinfo=UTC),
)


def test_a_version_is_told_by_its_tags():
    row = models_view.version_row(VERSION)
    assert (row.roles, row.gate, row.tests) == (("champion", "reference"), "no", "failed")
    assert row.label == "7 · 2 Nov"
    assert (row.corrections, row.accuracy) == (12, 0.9912)


def test_a_version_without_tags_has_no_scores():
    row = models_view.version_row(ModelVersion("1", "r", (), VersionTags(), VERSION.created_at))
    assert (row.gate, row.tests, row.accuracy, row.corrections) == ("", "", None, 0)


def test_scores_are_of_test_pictures_and_the_first_versions_come_from_the_next():
    rows = [row_of("1", accuracy="0.97"), row_of("2", accuracy="0.95"), row_of("3")]
    points = models_view.score_points(rows, {"2": report(passed=True)})
    assert points == [
        {"version": 1, "label": "1 · 2 Nov", "base": "base", "what": "all classes", "score": 0.97},
        {"version": 1, "label": "1 · 2 Nov", "base": "base", "what": "Chest X-ray", "score": 0.9},
        {"version": 1, "label": "1 · 2 Nov", "base": "base", "what": "Chest CT", "score": 0.9},
        {"version": 2, "label": "2 · 2 Nov", "base": "base", "what": "all classes", "score": 0.95},
        {"version": 2, "label": "2 · 2 Nov", "base": "base", "what": "Chest X-ray", "score": 0.9},
        {"version": 2, "label": "2 · 2 Nov", "base": "base", "what": "Chest CT", "score": 0.9},
    ]


def test_scores_on_another_data_set_are_told_apart():
    """The chart joins what bears one data set."""
    rows = [row_of("1", accuracy="0.97"), row_of("2", accuracy="0.95", base_id="new")]
    points = models_view.score_points(rows, {"2": report(passed=True, base_id="new")})
    assert [(p["version"], p["base"]) for p in points if p["what"] == "all classes"] == [
        (1, "base"),
        (2, "new"),
    ]
    assert {p["base"] for p in points if p["what"] != "all classes"} == {"new"}


def test_a_version_whose_file_did_not_load_has_no_scores_by_class():
    broken = replace(report(passed=False), scores={})
    assert models_view.score_points([row_of("1"), row_of("2")], {"2": broken}) == []


def test_the_confusion_matrix_knows_what_is_right():
    cells = models_view.confusion_cells(report(passed=True).scores["challenger"])
    assert [cell["count"] for cell in cells] == [90, 10, 0, 100]
    assert [cell["right"] for cell in cells] == [True, False, False, True]
    assert cells[0]["share"] == 0.9


def test_reliability_compares_champion_and_challenger():
    points = models_view.reliability_points(report(passed=True))
    assert [point["model"] for point in points] == ["version 1 (before)", "version 2"]


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


def test_slices_are_plotted_over_versions_where_reports_hold_them():
    old = replace(
        report(passed=True),
        version="1",
        decision=Decision(True, (Check("base test", "", "", True),)),
    )
    points = models_view.slice_points(
        [row_of("1"), row_of("2"), row_of("3")], {"1": old, "2": report(passed=True)}
    )
    assert points == [
        {
            "version": 2,
            "label": "2 · 2 Nov",
            "base": "base",
            "what": "All test pictures",
            "score": 0.95,
        }
    ]


def test_the_ends_of_the_threshold_are_slices_as_before():
    ends = {"known": 0.99, "unknown": 0.8}
    checks = (Check("threshold for unknown", "", "champion", True, ends),)
    found = replace(report(passed=True), decision=Decision(True, checks))
    points = models_view.slice_points([row_of("2")], {"2": found})
    assert {point["what"]: point["score"] for point in points} == {
        "Test pictures, not to be called unknown": 0.99,
        "Pictures of something else, to be called unknown": 0.8,
    }


def row_of(version: str, **tags: str) -> models_view.VersionRow:
    return models_view.version_row(
        ModelVersion(
            version,
            f"run-{version}",
            (),
            VersionTags.read({"base_id": "base", **tags}),
            VERSION.created_at,
        )
    )
