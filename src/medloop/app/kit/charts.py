"""Charts as Vega-Lite specifications, in the theme's colours. Pure.

Streamlit's menu over each chart shows its data as a table and saves it as PNG. A click on the legend picks lines or
bars out; a drag moves the time axis and the wheel with Shift zooms it (without Shift, the wheel scrolls the page).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
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
PERCENT: Final = {"labelExpr": "format(datum.value * 100, '.4~g') + ' %'"}
DAY_MS: Final = 86_400_000
FEWEST_DAYS: Final = 7  # that the axis of days has room for, so that a single day's bar is no wall
DAY_WIDTH: Final = (
    f"clamp(0.7 * (scale('x', {DAY_MS}) - scale('x', 0)), 1, 44)"  # pixels, also while zoomed
)
ZOOM: Final[Spec] = {
    "name": "zoom",
    "select": {"type": "interval", "encodings": ["x"], "zoom": "wheel![event.shiftKey]"},
    "bind": "scales",
}


def scores_over_versions(rows: Rows) -> Spec:
    """A line for each class and one for all, over versions; rows name their version, when it was trained, and both."""
    return {
        "data": {"values": list(rows)},
        "transform": [_in_percent("score", 2)],
        "params": [_legend("what")],
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": _ordinal("label", "Version, and when it was trained")
            | {
                "sort": {"field": "version"},
                "axis": {"labelAngle": 0, "labelExpr": "split(datum.label, ' · ')"},
            },
            "y": _share("score", "Share right", zero=False),
            "color": _nominal("what")
            | {"legend": {"orient": "bottom", "columns": 2, "labelLimit": 320}},
            "opacity": _picked_out(),
            "tooltip": [
                _nominal("label", "Version"),
                _nominal("what", "Pictures"),
                _shown("score", "Right"),
            ],
        },
    }


def champion_over_time(rows: Rows) -> Spec:
    """Which version served when."""
    return {
        "data": {"values": list(rows)},
        "params": [ZOOM],
        "mark": {"type": "line", "interpolate": "step-after", "point": True, "color": ACCENT},
        "encoding": {
            "x": {
                "field": "at",
                "type": "temporal",
                "title": None,
                "scale": {"type": "utc", "nice": True},
                "axis": {"format": "%-d %b", "labelOverlap": True},
            },
            "y": _ordinal("version", "Champion") | {"sort": "descending"},
            "tooltip": [
                {"field": "at", "type": "temporal", "title": "When", "format": "%Y-%m-%d %H:%M"},
                _nominal("version", "Version"),
                _nominal("what", "What"),
                _nominal("by", "By"),
                _nominal("why", "Why"),
            ],
        },
    }


def confusion_matrix(cells: Rows) -> Spec:
    """Counts; errors stand out, what is right stays pale. A click marks a row of the truth."""
    shade = {
        "condition": {"test": "datum.right", "value": ACCENT},
        **_quantity("share"),
        "scale": {"scheme": "oranges", "domain": [0, 0.2]},
        "legend": None,
    }
    faint = {"condition": {"test": "datum.right || datum.count == 0", "value": 0.15}, "value": 0.9}
    marked = {"condition": {"param": "truth", "empty": False, "value": 2}, "value": 0}
    return {
        "data": {"values": list(cells)},
        "transform": [_in_percent("share", 1)],
        "height": {"step": 38},
        "encoding": {
            "x": _nominal("answer", "Answer")
            | {"axis": {"labelAngle": -40, "labelOverlap": False}},
            "y": _nominal("truth", "Truth"),
            "tooltip": [
                _nominal("truth", "Truth"),
                _nominal("answer", "Answer"),
                _quantity("count", "Pictures"),
                _shown("share", "Of this truth"),
            ],
        },
        "layer": [
            {
                "params": [{"name": "truth", "select": {"type": "point", "fields": ["truth"]}}],
                "mark": {"type": "rect", "stroke": GREY},
                "encoding": {"color": shade, "opacity": faint, "strokeWidth": marked},
            },
            {
                "mark": {"type": "text", "color": GREY, "fontSize": 13},
                "encoding": {"text": _quantity("count")},
            },
        ],
    }


def reliability(rows: Rows) -> Spec:
    """How often answers of one confidence are right; on the diagonal, confidence can be believed."""
    axes = {"x": _share("confidence", "Confidence"), "y": _share("accuracy", "Share right")}
    ideal = {
        "data": {"values": [{"confidence": 0, "accuracy": 0}, {"confidence": 1, "accuracy": 1}]},
        "mark": {"type": "line", "strokeDash": [4, 4], "color": GREY},
        "encoding": axes,
    }
    found = {
        "params": [_legend("model")],
        "mark": {"type": "line", "point": True},
        "encoding": {
            **axes,
            "color": _nominal("model") | {"legend": {"orient": "bottom"}},
            "opacity": _picked_out(),
            "tooltip": [
                _nominal("model", "Version"),
                _shown("confidence", "Confidence"),
                _shown("accuracy", "Right"),
                _quantity("n", "Pictures"),
            ],
        },
    }
    return {
        "data": {"values": list(rows)},
        "layer": [
            ideal,
            {**found, "transform": [_in_percent(name, 1) for name in ("confidence", "accuracy")]},
        ],
    }


def gate_checks(rows: Rows) -> Spec:
    """Accuracy lost by each check: the dot is observed, the line reaches to its bound, the tick is what is allowed."""
    lost = _quantity("observed", "Accuracy lost, points")
    color = _nominal("result") | {
        "scale": {"domain": ["passed", "failed"], "range": [ACCENT, ALARM]},
        "legend": {"orient": "bottom"},
    }
    numbers = {"observed": "Lost, points", "bound": "At most lost", "margin": "Allowed"}
    return {
        "data": {"values": list(rows)},
        "height": {"step": 22},
        "encoding": {
            "y": _nominal("name") | {"sort": None, "axis": {"labelLimit": 240}},
            "tooltip": [
                _nominal("name", "Check"),
                _nominal("result", "Result"),
                *(_number(name, ".2f", title) for name, title in numbers.items()),
            ],
        },
        "layer": [
            {
                "mark": {"type": "rule", "strokeWidth": 3},
                "encoding": {"x": lost, "x2": {"field": "bound"}, "color": color},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 70},
                "encoding": {"x": lost, "color": color},
            },
            {
                "mark": {"type": "tick", "thickness": 3, "size": 16, "color": GREY},
                "encoding": {"x": _quantity("margin", lost["title"])},
            },
        ],
    }


def per_day(rows: Rows, *, title: str, share: bool = False) -> Spec:
    """Stacked bars a day; `share` makes each bar whole. A click on the legend picks one kind out."""
    axis = {"axis": PERCENT} if share else {"axis": {"tickMinStep": 1}}
    return {
        "data": {"values": list(rows)},
        "params": [_legend("what"), ZOOM],
        "mark": {"type": "bar", "clip": True, "width": {"expr": DAY_WIDTH}},
        "encoding": {
            "x": _day(rows),
            "y": _quantity("count", title) | {"stack": "normalize" if share else "zero"} | axis,
            "color": _nominal("what") | {"scale": _kinds(rows), "legend": {"orient": "bottom"}},
            "opacity": _picked_out(),
            "tooltip": [
                _nominal("day", "Day"),
                _nominal("what", "What"),
                _quantity("count", "Pictures"),
            ],
        },
    }


def spread(rows: Rows, *, title: str, reference: float, percent: bool = False) -> Spec:
    """The middle of each day's values, where 8 of 10 lie, and the middle of the reference, dashed."""

    def value(field: str, name: str) -> Spec:
        return _shown(field, name) if percent else _number(field, ".3f", name)

    scale = {"scale": {"zero": False, "nice": True}} | ({"axis": PERCENT} if percent else {})
    names = {"high": "9 of 10 are below", "middle": "Middle", "low": "1 of 10 is below"}
    mark = {"tooltip": True, "clip": True, "color": ACCENT}
    return {
        "data": {"values": list(rows)},
        "transform": [_in_percent(field, 1) for field in names],
        "encoding": {
            "x": _day(rows),
            "tooltip": [
                _nominal("day", "Day"),
                *(value(field, name) for field, name in names.items()),
                _quantity("n", "Pictures"),
            ],
        },
        "layer": [
            {
                "params": [ZOOM],
                "mark": {**mark, "type": "rule", "strokeWidth": 3},
                "encoding": {"y": _quantity("low", title) | scale, "y2": {"field": "high"}},
            },
            {
                "mark": {**mark, "type": "point", "filled": True, "opacity": 1, "size": 70},
                "encoding": {"y": _quantity("middle", title)},
            },
            {
                "data": {"values": [{"reference": reference}]},
                "transform": [_in_percent("reference", 1)],
                "mark": {"type": "rule", "strokeDash": [4, 4], "color": GREY},
                "encoding": {
                    "x": {"value": 0},
                    "x2": {"value": "width"},
                    "y": _quantity("reference", title),
                    "tooltip": [value("reference", "Middle of the test pictures")],
                },
            },
        ],
    }


def intervals(rows: Rows, *, title: str) -> Spec:
    """Shares with their intervals."""
    numbers = {"share": "Corrected", "low": "At least", "high": "At most"}
    return {
        "data": {"values": list(rows)},
        "transform": [_in_percent(field, 1) for field in numbers],
        "height": {"step": 26},
        "encoding": {
            "y": _nominal("what"),
            "tooltip": [
                _nominal("what", "Of"),
                *(_shown(field, name) for field, name in numbers.items()),
                _quantity("n", "Answers"),
            ],
        },
        "layer": [
            {
                "mark": {"type": "rule", "strokeWidth": 3, "color": ACCENT},
                "encoding": {"x": _share("low", title), "x2": {"field": "high"}},
            },
            {
                "mark": {
                    "type": "point",
                    "filled": True,
                    "opacity": 1,
                    "size": 70,
                    "color": ACCENT,
                },
                "encoding": {"x": _quantity("share", title)},
            },
        ],
    }


def _kinds(rows: Rows) -> Spec:
    """A colour for each kind of answer, the same in every chart."""
    shown = [kind for kind in KINDS if any(row["what"] == kind for row in rows)]
    return {"domain": shown, "range": [KINDS[kind] for kind in shown]}


def _legend(field: str) -> Spec:
    """A choice by clicks on the legend."""
    return {"name": "chosen", "select": {"type": "point", "fields": [field]}, "bind": "legend"}


def _picked_out() -> Spec:
    """What was not chosen in the legend fades."""
    return {"condition": {"param": "chosen", "value": 1}, "value": 0.12}


def _day(rows: Rows) -> Spec:
    """Days (UTC) as an axis in time, with room for some even where there are few rows."""
    days = [date.fromisoformat(row["day"]) for row in rows]
    last = max(days, default=date(1970, 1, 1))
    first = min([*days, last - timedelta(days=FEWEST_DAYS - 1)])
    step = max(1, round((last - first).days / FEWEST_DAYS))
    return {
        "field": "day",
        "type": "temporal",
        "title": None,
        "scale": {"type": "utc", "domain": [_noon(first - timedelta(days=1)), _noon(last)]},
        "axis": {
            "format": "%-d %b",
            "tickCount": {"interval": "day", "step": step},
            "labelOverlap": True,
        },
    }


def _noon(day: date) -> Spec:
    """Half a day before or behind a bar's middle; in parts, since Streamlit's Vega takes a plain number for a year."""
    return {"year": day.year, "month": day.month, "date": day.day, "hours": 12, "utc": True}


def _nominal(field: str, title: str | None = None) -> Spec:
    return {"field": field, "type": "nominal", "title": title}


def _ordinal(field: str, title: str | None = None) -> Spec:
    return {"field": field, "type": "ordinal", "title": title or field, "axis": {"labelAngle": 0}}


def _quantity(field: str, title: str | None = None) -> Spec:
    return {"field": field, "type": "quantitative", "title": title or field}


def _number(field: str, shape: str, title: str) -> Spec:
    return _quantity(field, title) | {"format": shape}


def _in_percent(field: str, places: int) -> Spec:
    """A share as people read it, for `_shown`; what is short of the whole is never rounded to it."""
    most = 1 - 0.5 * 10 ** -(places + 2)
    text = f"format(datum.{field} * 100, '.{places}f') + ' %'"
    over = f"'over {100 - 10**-places:.{places}f} %'"
    return {
        "calculate": f"datum.{field} < 1 && datum.{field} >= {most} ? {over} : {text}",
        "as": f"{field}_shown",
    }


def _shown(field: str, title: str) -> Spec:
    return _nominal(f"{field}_shown", title)


def _share(field: str, title: str, *, zero: bool = True) -> Spec:
    scale: Spec = {"domain": [0, 1]} if zero else {"zero": False}
    return _quantity(field, title) | {"axis": PERCENT, "scale": scale}
