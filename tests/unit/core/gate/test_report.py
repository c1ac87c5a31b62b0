"""The gate report as JSON and plots, and the model card."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from medloop.core.gate.decision import Check, Decision, Kind
from medloop.core.gate.evaluation import Answers, score
from medloop.core.gate.model_card import Origin, model_card
from medloop.core.gate.plots import report_plots
from medloop.core.gate.report import GateReport, flat_metrics, metric_name, scores_dict
from medloop.core.gate.words import summary
from medloop.errors import StoreError

LABELS = ("CXR", "Hand", "Knee<script>|")
REASON = (
    "worse | really, against the champion: 90.00 % right, before 93.00 %, of 30 images (lost 1, "
    "gained 0); at most 10.00 points lost; more than is allowed for this many "
    "images"
)


def scores() -> dict:
    classes = np.array(LABELS)[np.arange(30) % 3]
    predicted = classes.copy()
    predicted[4] = "CXR"
    confidence = np.linspace(0.5, 1.0, 30)
    answers = Answers(predicted, confidence, np.zeros(30, dtype=bool), confidence > 0.9)
    return scores_dict(score(answers, classes, LABELS))


def report() -> GateReport:
    numbers = {"n": 30.0, "lost": 1.0, "gained": 0.0, "bound": 0.1, "margin": 0.05,
        "right": 0.9, "right_before": 0.93, "p_worse": 0.5,
    }  # fmt: skip
    checks = (
        Check(Kind.SERVING_PATH, "", "", True),
        Check(Kind.PICTURES, "worse | really", "champion", False, numbers),
        Check(
            Kind.PICTURES, "corrupted images", "champion", True, {**numbers, "bound": float("nan")}
        ),
    )
    return GateReport(
        key="k",
        version="2",
        champion_version="1",
        reference_version=None,
        snapshot_id="s",
        base_id="b",
        at="2026-11-02T09:00:00.000+00:00",
        decision=Decision(False, checks),
        scores={"challenger": scores(), "champion": scores()},
    )


def origin() -> Origin:
    return Origin(
        model="medical-mnist",
        labels=LABELS,
        base_id="b",
        base_images=30,
        snapshot_id="s",
        corrections={"trained": 7, "held out": 1},
        parent_version="1",
        weights_sha256="0" * 64,
        config={"seed": 0},
        seconds=1.0,
    )


def test_a_report_reads_back_as_it_was_written():
    raw = report().to_json()
    assert GateReport.from_json(raw).to_json() == raw
    assert json.loads(raw)["decision"]["reasons"] == [REASON]
    assert b"NaN" not in raw


def test_the_summary_is_one_sentence_for_the_ledger():
    refused = report()
    assert summary(refused) == f"the gate said no: {REASON}"
    passed = replace(refused, decision=Decision(True, (Check(Kind.CORRECTIONS, "", "", True),)))
    assert summary(passed) == (
        "the gate said yes: base test 96.67 % right, before 96.67 %; held-out corrections: none "
        "are held out yet: judged on the other images alone"
    )


def test_answers_that_are_no_numbers_make_a_report_and_plots_all_the_same():
    classes = np.array(LABELS)[np.arange(30) % 3]
    confidence = np.where(np.arange(30) < 3, np.nan, 0.9)
    broken = scores_dict(
        score(
            Answers(classes, confidence, confidence < 0, confidence > 0.8),
            classes,
            LABELS,
        )
    )
    assert broken["ece"] is None
    found = replace(report(), scores={"challenger": broken, "champion": scores()})
    assert b"NaN" not in found.to_json()
    assert set(report_plots(found)) == {"confusion.png", "reliability.png", "gate.png"}
    assert "expected calibration error not a number" in model_card(origin(), found)


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b'{"decision": {"checks": [1]}}'])
def test_bytes_that_are_no_report_are_refused(raw: bytes):
    with pytest.raises(StoreError, match="not a gate report"):
        GateReport.from_json(raw)


def test_metrics_are_named_by_role_and_class():
    metrics = flat_metrics("challenger", scores())
    assert metrics["challenger/accuracy"] == pytest.approx(29 / 30)
    assert metrics["challenger/recall/Hand"] == pytest.approx(0.9)
    assert metric_name("Knee<script>|") == "Knee_script__"


def test_plots_are_images():
    plots = report_plots(report())
    assert set(plots) == {"confusion.png", "reliability.png", "gate.png"}
    for png in plots.values():
        assert Image.open(io.BytesIO(png)).size[0] > 200


def test_the_card_says_where_a_version_comes_from_and_how_it_was_judged():
    card = model_card(origin(), report())
    assert "the weights of version 1" in card
    assert "| corrections, held out | 1 |" in card
    assert "The gate said no" in card
    assert "| **no** | worse \\| really, against the champion: 90.00 % right, before" in card
    assert "<script>" not in card


def test_the_card_of_a_version_that_does_not_load_says_why_it_was_refused():
    checks = (Check(Kind.SERVING_PATH, "", "", False, details=("InvalidProtobuf",)),)
    card = model_card(origin(), replace(report(), decision=Decision(False, checks), scores={}))
    assert "The gate said no" in card
    assert "| **no** | serving path: the model file does not serve: InvalidProtobuf |" in card
    assert "plots/" not in card


def test_a_card_before_the_first_evaluation_says_so():
    card = model_card(replace(origin(), parent_version=None, snapshot_id=""))
    assert "Not judged yet" in card
    assert "random weights" in card
    assert "No corrections yet" in card
