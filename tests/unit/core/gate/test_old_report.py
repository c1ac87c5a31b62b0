"""Reports whose checks were sentences, written by commit b9ddffd, read as data."""

from __future__ import annotations

import json

import pytest
from tests.old_state import VERSIONS, old_raw, old_report, old_state

from medloop.app.models import gate_words, models_view
from medloop.core.gate.decision import Kind
from medloop.core.gate.model_card import Origin, model_card
from medloop.core.gate.plots import gate_plot
from medloop.core.gate.report import GateReport
from medloop.core.gate.words import reasons, summary
from medloop.stores.version_tags import VersionTags

ORIGIN = Origin("medical-mnist", ("Hand",), "b", 1, "", {}, None, "0" * 64, {}, 1.0)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_old_report_keeps_its_verdict_and_its_numbers(version: str):
    raw, found = json.loads(old_raw(version)), old_report(version)
    assert found.passed == raw["decision"]["passed"]
    assert found.scores == raw["scores"]
    assert [check.passed for check in found.decision.checks] == [
        check["passed"] for check in raw["decision"]["checks"]
    ]
    for check, old in zip(found.decision.checks, raw["decision"]["checks"], strict=True):
        assert dict(check.numbers) == pytest.approx(old["numbers"])
    assert found == GateReport.from_json(found.to_json())


@pytest.mark.parametrize("version", VERSIONS)
def test_an_old_report_is_told_in_every_voice(version: str):
    found = old_report(version)
    assert len(reasons(found)) == sum(c.passed == found.passed for c in found.decision.checks)
    assert summary(found).startswith(f"the gate said {'yes' if found.passed else 'no'}: ")
    assert "The gate said" in model_card(ORIGIN, found)
    rows = gate_words.check_rows(found)
    assert len(rows) == len(found.decision.checks)
    assert all(row.name and row.sentence.endswith(".") for row in rows)
    assert gate_plot(found).startswith(b"\x89PNG")


def test_kinds_and_subjects_are_those_that_the_gate_gives_today():
    checks = old_report("2").decision.checks
    classes = {check.subject for check in checks if check.kind == Kind.CLASS}
    assert classes == {"AbdomenCT", "BreastMRI", "CXR", "ChestCT", "Hand", "HeadCT"}
    compared = {(check.subject, check.against) for check in checks if check.kind == Kind.PICTURES}
    assert compared == {
        (name, against)
        for name in (
            "base test",
            "corrupted images",
            "unknown images kept out",
            "base test kept as known",
        )
        for against in ("champion", "reference")
    }


def test_what_only_the_sentence_said_is_kept():
    (order,) = [
        check for check in old_report("5").decision.checks if check.kind == Kind.LABEL_ORDER
    ]
    assert order.details == ("LeftKnee",)
    (path,) = old_report("broken").decision.checks
    assert path.kind == Kind.SERVING_PATH
    assert path.details[0].startswith("the model file does not load (")
    assert "The model file does not open or answer here: the model file does not load" in (
        gate_words.why_not(old_report("broken"))
    )


def test_the_page_plots_old_versions():
    rows = [
        models_view.VersionRow(
            v, (), models_view.datetime(2026, 11, 1), "yes", 1, 0.9, f"run-{v}", "base"
        )
        for v in ("2", "3")
    ]
    points = models_view.slice_points(rows, {v: old_report(v) for v in ("2", "3")})
    assert {point["what"] for point in points} >= {
        "All test pictures",
        "Test pictures with noise, blur or other faults added",
    }


@pytest.mark.parametrize("version", [v for v in VERSIONS if v != "broken"])
def test_old_tags_are_read_and_written_again_as_they_were(version: str):
    tags = old_state()["versions"][version]["tags"]
    read = VersionTags.read(tags)
    assert read.gate in {"yes", "no"}
    assert read.base_id == tags["base_id"]
    assert len(read.labels) >= 6
    assert read.accuracy == pytest.approx(float(tags["accuracy"]))
    assert read.to_mlflow() == {name: value for name, value in tags.items() if value}


def test_damaged_tags_read_as_none():
    damaged = {"labels": "[", "accuracy": "much", "corrections": "", "of tomorrow": "1"}
    assert VersionTags.read(damaged) == VersionTags()
