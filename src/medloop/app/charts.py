"""Charts as Vega-Lite specifications, in the theme's colours; each can be saved as PNG or SVG from its menu. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

Rows = Sequence[dict[str, Any]]
Spec = dict[str, Any]

ACCENT: Final = "#15909b"  # readable on light and dark
ALARM: Final = "#c8501a"
GREY: Final = "#808a8f"
KINDS: Final[Mapping[str, str]] = {
    "confident": ACCENT, "unsure": ALARM, "unknown": "#7d6bd6",
    "confirmed": ACCENT, "corrected": ALARM, "not recorded": GREY,
}  # fmt: skip
PERCENT: Final = {"format": ".0%"}


def scores_over_versions(rows: Rows) -> Spec:
    """A line for each class and one for all, over versions."""
    return {
        "data": {"values": list(rows)},
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": _ordinal("version", "Version"),
            "y": _share("score", "Share right", zero=False),
            "color": _nominal("what") | {"legend": {"orient": "bottom", "columns": 3}},
            "tooltip": [_quantity("version"), _nominal("what"), _number("score", ".2%")],
        },
    }


def champion_over_time(rows: Rows) -> Spec:
    """Which version served when."""
    return {
        "data": {"values": list(rows)},
        "mark": {"type": "line", "interpolate": "step-after", "point": True, "color": ACCENT},
        "encoding": {
            "x": {"field": "at", "type": "temporal", "title": None},
            "y": _ordinal("version", "Champion") | {"sort": "descending"},
            "tooltip": [
                {"field": "at", "type": "temporal"},
                _quantity("version"),
                *(_nominal(name) for name in ("what", "by", "why")),
            ],
        },
    }


def confusion_matrix(cells: Rows) -> Spec:
    """Counts; errors stand out, what is right stays pale."""
    shade = {
        "condition": {"test": "datum.right", "value": ACCENT},
        **_quantity("share"),
        "scale": {"scheme": "oranges"},
        "legend": None,
    }
    faint = {"condition": {"test": "datum.right || datum.count == 0", "value": 0.15}, "value": 0.9}
    return {
        "data": {"values": list(cells)},
        "encoding": {
            "x": _nominal("answer", "Answer") | {"axis": {"labelAngle": -40}},
            "y": _nominal("truth", "Truth"),
            "tooltip": [_nominal("truth"), _nominal("answer"), _quantity("count"), _number("share", ".1%")],
        },
        "layer": [
            {"mark": "rect", "encoding": {"color": shade, "opacity": faint}},
            {"mark": {"type": "text", "color": GREY, "fontSize": 13}, "encoding": {"text": _quantity("count")}},
        ],
    }


def reliability(rows: Rows) -> Spec:
    """How often answers of one confidence are right; on the diagonal, confidence can be believed."""
    ideal = {
        "data": {"values": [{"confidence": 0, "accuracy": 0}, {"confidence": 1, "accuracy": 1}]},
        "mark": {"type": "line", "strokeDash": [4, 4], "color": GREY},
        "encoding": {"x": _share("confidence", "Confidence"), "y": _share("accuracy", "Share right")},
    }
    found = {
        "data": {"values": list(rows)},
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": _share("confidence", "Confidence"),
            "y": _share("accuracy", "Share right"),
            "color": _nominal("model"),
            "tooltip": [
                _nominal("model"),
                _number("confidence", ".1%"),
                _number("accuracy", ".1%"),
                _quantity("n"),
            ],
        },
    }
    return {"layer": [ideal, found]}


def gate_checks(rows: Rows) -> Spec:
    """Accuracy lost by each check: the dot is observed, the line reaches to its bound, the tick is what is allowed."""
    lost = _quantity("observed", "Accuracy lost, points")
    color = _nominal("result") | {"scale": {"domain": ["passed", "failed"], "range": [ACCENT, ALARM]}}
    numbers = [_number(name, ".2f") for name in ("observed", "bound", "margin")]
    return {
        "data": {"values": list(rows)},
        "encoding": {
            "y": _nominal("name") | {"sort": None, "axis": {"labelLimit": 260}},
            "tooltip": [_nominal("name"), _nominal("result"), *numbers],
        },
        "layer": [
            {
                "mark": {"type": "rule", "strokeWidth": 3},
                "encoding": {"x": lost, "x2": {"field": "bound"}, "color": color},
            },
            {"mark": {"type": "point", "filled": True, "size": 70}, "encoding": {"x": lost, "color": color}},
            {
                "mark": {"type": "tick", "thickness": 3, "size": 16, "color": GREY},
                "encoding": {"x": _quantity("margin")},
            },
        ],
    }


def per_day(rows: Rows, *, title: str, share: bool = False) -> Spec:
    """Stacked bars a day; `share` makes each bar whole."""
    return {
        "data": {"values": list(rows)},
        "mark": "bar",
        "encoding": {
            "x": {"field": "day", "type": "ordinal", "title": None, "axis": {"labelAngle": 0}},
            "y": _quantity("count", title) | {"stack": "normalize" if share else "zero"},
            "color": _nominal("what") | {"scale": _kinds(rows), "legend": {"orient": "bottom"}},
            "tooltip": [_nominal("day"), _nominal("what"), _quantity("count")],
        },
    }


def spread(rows: Rows, *, title: str, reference: float) -> Spec:
    """The middle of each day's values, where 8 of 10 lie, and the middle of the reference, dashed."""
    day = {"field": "day", "type": "ordinal", "title": None, "axis": {"labelAngle": 0}}
    tooltip = [_nominal("day"), *(_number(name, ".3f") for name in ("low", "middle", "high")), _quantity("n")]
    mark = {"tooltip": True, "color": ACCENT}
    return {
        "data": {"values": list(rows)},
        "encoding": {"x": day, "tooltip": tooltip},
        "layer": [
            {
                "mark": {**mark, "type": "rule", "strokeWidth": 3},
                "encoding": {"y": _quantity("low", title) | {"scale": {"zero": False}}, "y2": {"field": "high"}},
            },
            {
                "mark": {**mark, "type": "point", "filled": True, "size": 70},
                "encoding": {"y": _quantity("middle", title)},
            },
            {
                "data": {"values": [{"reference": reference}]},
                "mark": {"type": "rule", "strokeDash": [4, 4], "color": GREY},
                "encoding": {
                    "x": {"value": 0},
                    "x2": {"value": "width"},
                    "y": _quantity("reference", title),
                    "tooltip": [_number("reference", ".3f")],
                },
            },
        ],
    }


def intervals(rows: Rows, *, title: str) -> Spec:
    """Shares with their intervals."""
    return {
        "data": {"values": list(rows)},
        "encoding": {
            "y": _nominal("what"),
            "tooltip": [_nominal("what"), _number("share", ".1%"), _quantity("n")],
        },
        "layer": [
            {
                "mark": {"type": "rule", "strokeWidth": 3, "color": ACCENT},
                "encoding": {"x": _quantity("low", title) | {"axis": PERCENT}, "x2": {"field": "high"}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 70, "color": ACCENT},
                "encoding": {"x": _quantity("share", title)},
            },
        ],
    }


def _kinds(rows: Rows) -> Spec:
    """A colour for each kind of answer, the same in every chart."""
    shown = [kind for kind in KINDS if any(row["what"] == kind for row in rows)]
    return {"domain": shown, "range": [KINDS[kind] for kind in shown]}


def _nominal(field: str, title: str | None = None) -> Spec:
    return {"field": field, "type": "nominal", "title": title}


def _ordinal(field: str, title: str | None = None) -> Spec:
    return {"field": field, "type": "ordinal", "title": title or field, "axis": {"labelAngle": 0}}


def _quantity(field: str, title: str | None = None) -> Spec:
    return {"field": field, "type": "quantitative", "title": title or field}


def _number(field: str, shape: str) -> Spec:
    return _quantity(field) | {"format": shape}


def _share(field: str, title: str, *, zero: bool = True) -> Spec:
    scale: Spec = {"domain": [0, 1]} if zero else {"zero": False}
    return _quantity(field, title) | {"axis": PERCENT, "scale": scale}
