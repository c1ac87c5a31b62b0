"""Charts: each is valid Vega-Lite, holds its rows, and can be played with."""

from __future__ import annotations

import json
from pathlib import Path

import altair
import jsonschema
import pytest

from medloop.app.kit import charts

SCHEMA = Path(altair.__file__).parent / "vegalite" / "v6" / "schema" / "vega-lite-schema.json"
DAY = {"day": "2026-11-02", "what": "unsure", "count": 3}
SPREAD = {"day": "2026-11-02", "low": 0.1, "middle": 0.2, "high": 0.3, "n": 4}
CHARTS = {
    "scores": charts.scores_over_versions(
        [{"version": 1, "label": "1 · 2 Nov", "what": "Hand", "score": 0.9}]
    ),
    "champion": charts.champion_over_time(
        [{"at": "2026-11-02T10:00:00+00:00", "version": 1, "by": "ada", "why": ""}]
    ),
    "confusion": charts.confusion_matrix(
        [{"truth": "a", "answer": "b", "count": 1, "share": 0.5, "right": False}]
    ),
    "reliability": charts.reliability(
        [{"model": "version 1", "confidence": 0.5, "accuracy": 0.5, "n": 2}]
    ),
    "gate": charts.gate_checks(
        [{"name": "a", "result": "passed", "observed": 1, "bound": 2, "margin": 3}]
    ),
    "days": charts.per_day([DAY], title="Pictures"),
    "shares": charts.per_day([DAY], title="Share", share=True),
    "spread": charts.spread([SPREAD], title="Confidence", reference=0.3, percent=True),
    "intervals": charts.intervals(
        [{"what": "Hand", "share": 0.2, "low": 0.1, "high": 0.3, "n": 3}], title="Corrected"
    ),
}
SPECS = {name: chart.to_dict() for name, chart in CHARTS.items()}


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(json.loads(SCHEMA.read_text("utf-8")))


@pytest.mark.parametrize("name", SPECS)
def test_a_chart_is_valid_vega_lite(schema, name):
    error = jsonschema.exceptions.best_match(schema.iter_errors(SPECS[name]))
    assert error is None, error


@pytest.mark.parametrize("name", SPECS)
def test_a_chart_holds_its_rows_on_top_where_streamlits_menu_finds_them(name):
    assert len(SPECS[name]["data"]["values"]) == 1


@pytest.mark.parametrize(
    "name", ["scores", "confusion", "reliability", "days", "shares", "spread", "champion"]
)
def test_a_chart_can_be_played_with(name):
    assert '"params"' in json.dumps(SPECS[name])


def test_an_interval_tells_both_ends():
    layer, _ = SPECS["intervals"]["layer"]
    fields = [entry["field"] for entry in layer["encoding"]["tooltip"]]
    assert fields == ["what", "share_shown", "low_shown", "high_shown", "n"]


def test_days_without_pictures_keep_their_room_on_the_axis():
    low, high = SPECS["days"]["encoding"]["x"]["scale"]["domain"]
    assert (low["month"], low["date"]) == (10, 26)
    assert (high["month"], high["date"]) == (11, 2)
