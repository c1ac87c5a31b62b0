"""Charts in the theme's colours, as Altair objects. Pure.

Streamlit's menu over each chart shows its data as a table and saves it as PNG. A click on the
legend picks lines or bars out. A drag moves the time axis, and the wheel with Shift zooms it:
without Shift, the wheel scrolls the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

import altair as alt

Rows = Sequence[dict[str, Any]]
Chart = alt.Chart | alt.LayerChart | alt.FacetChart

ACCENT: Final = "#15909b"  # readable on light and dark
ALARM: Final = "#c8501a"
GREY: Final = "#808a8f"
KINDS: Final[Mapping[str, str]] = {
    "confident": ACCENT, "unsure": ALARM, "unknown": "#7d6bd6",
    "confirmed": ACCENT, "corrected": ALARM, "not recorded": GREY,
}  # fmt: skip
PERCENT: Final = alt.Axis(labelExpr="format(datum.value * 100, '.4~g') + ' %'")
BELOW: Final = alt.Legend(orient="bottom")
DASHED: Final[dict[str, Any]] = {"strokeDash": [4, 4], "color": GREY}
DOT: Final[dict[str, Any]] = {"filled": True, "opacity": 1, "size": 70}
DAY_MS: Final = 86_400_000
MIN_DAYS: Final = 7  # that the axis of days has room for, so that a single day's bar is no wall
DAY_WIDTH: Final = (  # pixels, also while zoomed
    f"clamp(0.7 * (scale('x', {DAY_MS}) - scale('x', 0)), 1, 44)"
)


def scores_over_versions(rows: Rows) -> Chart:
    """Draw a line per class and one for all, over versions; another data set begins a new one."""
    chosen = _legend("what")
    lines: Chart = (
        _chart(rows)
        .transform_calculate(**_percent_texts(2, "score"))
        .mark_line(point=True)
        .encode(
            x=alt.X(
                "label:O",
                title="Version, and when it was trained",
                sort=alt.EncodingSortField("version"),
                axis=alt.Axis(labelAngle=0, labelExpr="split(datum.label, ' · ')"),
            ),
            y=alt.Y("score:Q", title="Share right", axis=PERCENT, scale=alt.Scale(zero=False)),
            color=alt.Color(
                "what:N", title=None, legend=alt.Legend(orient="bottom", columns=2, labelLimit=320)
            ),
            detail="base:N",
            opacity=_fade_others(chosen),
            tooltip=_tips(
                label="Version", what="Pictures", score_shown="Right", base="Base data set"
            ),
        )
        .add_params(chosen)
    )
    return lines


def champion_over_time(rows: Rows) -> Chart:
    """Draw which version served when."""
    lines: Chart = (
        _chart(rows)
        .mark_line(interpolate="step-after", point=True, color=ACCENT)
        .encode(
            x=alt.X(
                "at:T",
                title=None,
                scale=alt.Scale(type="utc", nice=True),
                axis=alt.Axis(format="%-d %b", labelOverlap=True),
            ),
            y=alt.Y("version:O", title="Champion", sort="descending", axis=alt.Axis(labelAngle=0)),
            tooltip=[
                alt.Tooltip("at:T", title="When", format="%Y-%m-%d %H:%M"),
                *_tips(version="Version", what="What", by="By", why="Why"),
            ],
        )
        .add_params(_zoom())
    )
    return lines


def confusion_matrix(cells: Rows) -> Chart:
    """Draw counts; errors stand out, what is right stays pale. A click marks a row of the truth."""
    truth = alt.selection_point(name="truth", fields=["truth"])
    base = alt.Chart().encode(
        x=alt.X("answer:N", title=None, axis=alt.Axis(labelAngle=-40, labelOverlap=False)),
        y=alt.Y("truth:N", title=None),
        tooltip=[
            *_tips(truth="Truth", answer="Answer"),
            alt.Tooltip("count:Q", title="Pictures"),
            *_tips(share_shown="Of this truth"),
        ],
    )
    shade = alt.Color("share:Q", scale=alt.Scale(scheme="oranges", domain=[0, 0.2]), legend=None)
    tiles = (
        base.mark_rect(stroke=GREY)
        .encode(
            color=alt.when("datum.right").then(alt.value(ACCENT)).otherwise(shade),
            opacity=alt.when("datum.right || datum.count == 0")
            .then(alt.value(0.15))
            .otherwise(alt.value(0.9)),
            strokeWidth=alt.when(truth, empty=False).then(alt.value(2)).otherwise(alt.value(0)),
        )
        .add_params(truth)
    )
    counts = base.mark_text(color=GREY, fontSize=13).encode(text="count:Q")
    return (
        alt.layer(tiles, counts, data=_data(cells))
        .transform_calculate(**_percent_texts(1, "share"))
        .properties(height=alt.Step(38))
    )


def reliability(rows: Rows) -> Chart:
    """Draw how often answers of one confidence are right; on the diagonal it can be believed."""
    whole, chosen = alt.Scale(domain=[0, 1]), _legend("model")
    axes: dict[str, Any] = {
        "x": alt.X("confidence:Q", title="Confidence", axis=PERCENT, scale=whole),
        "y": alt.Y("accuracy:Q", title="Share right", axis=PERCENT, scale=whole),
    }
    ends = [{"confidence": end, "accuracy": end} for end in (0, 1)]
    ideal = _chart(ends).mark_line(**DASHED).encode(**axes)
    found = (
        alt.Chart()
        .transform_calculate(**_percent_texts(1, "confidence", "accuracy"))
        .mark_line(point=True)
        .encode(
            **axes,
            color=alt.Color("model:N", title=None, legend=BELOW),
            opacity=_fade_others(chosen),
            tooltip=[
                *_tips(model="Version", confidence_shown="Confidence", accuracy_shown="Right"),
                alt.Tooltip("n:Q", title="Pictures"),
            ],
        )
        .add_params(chosen)
    )
    return alt.layer(ideal, found, data=_data(rows))


def gate_checks(rows: Rows) -> Chart:
    """Draw accuracy lost per check: a dot is observed, a line its bound, a tick what is allowed."""
    numbers = {"observed": "Lost, points", "bound": "At most lost", "margin": "Allowed"}
    results = alt.Scale(domain=["passed", "failed"], range=[ACCENT, ALARM])
    lost = "Accuracy lost, points"
    base = alt.Chart().encode(
        x=alt.X("observed:Q", title=lost),
        y=alt.Y("name:N", title=None, sort=None, axis=alt.Axis(labelLimit=240)),
        tooltip=[
            *_tips(name="Check", result="Result"),
            *(alt.Tooltip(f"{n}:Q", title=title, format=".2f") for n, title in numbers.items()),
        ],
    )
    colored = base.encode(color=alt.Color("result:N", title=None, scale=results, legend=BELOW))
    return alt.layer(
        colored.mark_rule(strokeWidth=3).encode(x2="bound"),
        colored.mark_point(filled=True, size=70),
        base.mark_tick(thickness=3, size=16, color=GREY).encode(x=alt.X("margin:Q", title=lost)),
        data=_data(rows),
    ).properties(height=alt.Step(22))


def per_day(rows: Rows, *, title: str, share: bool = False) -> Chart:
    """Draw stacked bars per day; `share` makes each bar whole."""
    shown = [kind for kind in KINDS if any(row["what"] == kind for row in rows)]
    colors = alt.Scale(domain=shown, range=[KINDS[kind] for kind in shown])
    chosen = _legend("what")
    bars: Chart = (
        _chart(rows)
        .mark_bar(clip=True, width=alt.ExprRef(DAY_WIDTH))
        .encode(
            x=_days(rows),
            y=alt.Y(
                "count:Q",
                title=title,
                stack="normalize" if share else "zero",
                axis=PERCENT if share else alt.Axis(tickMinStep=1),
            ),
            color=alt.Color("what:N", title=None, scale=colors, legend=BELOW),
            opacity=_fade_others(chosen),
            tooltip=[*_tips(day="Day", what="What"), alt.Tooltip("count:Q", title="Pictures")],
        )
        .add_params(chosen, _zoom())
    )
    return bars


def spread(rows: Rows, *, title: str, reference: float, percent: bool = False) -> Chart:
    """Draw each day's middle value, where 8 of 10 lie, and the middle of the reference, dashed."""

    def tip(field: str, name: str) -> alt.Tooltip:
        if percent:
            return alt.Tooltip(f"{field}_shown:N", title=name)
        return alt.Tooltip(f"{field}:Q", title=name, format=".3f")

    names = {"high": "9 of 10 are below", "middle": "Middle", "low": "1 of 10 is below"}
    axis: dict[str, Any] = {"axis": PERCENT} if percent else {}
    base = alt.Chart().encode(
        x=_days(rows),
        tooltip=[
            *_tips(day="Day"),
            *(tip(field, name) for field, name in names.items()),
            alt.Tooltip("n:Q", title="Pictures"),
        ],
    )
    ranges = base.mark_rule(strokeWidth=3, clip=True, color=ACCENT).encode(
        y=alt.Y("low:Q", title=title, scale=alt.Scale(zero=False, nice=True), **axis), y2="high"
    )
    dots = base.mark_point(clip=True, color=ACCENT, **DOT)
    middles = dots.encode(y=alt.Y("middle:Q", title=title))
    line = _chart([{"reference": reference}]).mark_rule(**DASHED)
    line = line.transform_calculate(**_percent_texts(1, "reference")).encode(
        x=alt.value(0),
        x2=alt.value("width"),
        y=alt.Y("reference:Q", title=title),
        tooltip=[tip("reference", "Middle of the test pictures")],
    )
    return alt.layer(
        ranges.add_params(_zoom()), middles, line, data=_data(rows)
    ).transform_calculate(**_percent_texts(1, *names))


def intervals(rows: Rows, *, title: str) -> Chart:
    """Draw shares with their intervals."""
    base = alt.Chart().encode(
        y=alt.Y("what:N", title=None),
        tooltip=[
            *_tips(what="Of", share_shown="Corrected", low_shown="At least", high_shown="At most"),
            alt.Tooltip("n:Q", title="Answers"),
        ],
    )
    whole: dict[str, Any] = {"title": title, "axis": PERCENT, "scale": alt.Scale(domain=[0, 1])}
    return (
        alt.layer(
            base.mark_rule(strokeWidth=3, color=ACCENT).encode(
                x=alt.X("low:Q", **whole), x2="high"
            ),
            base.mark_point(color=ACCENT, **DOT).encode(x=alt.X("share:Q", **whole)),
            data=_data(rows),
        )
        .transform_calculate(**_percent_texts(1, "share", "low", "high"))
        .properties(height=alt.Step(26))
    )


def _data(rows: Rows) -> alt.Data:
    return alt.Data(values=list(rows))  # type: ignore[no-untyped-call]


def _chart(rows: Rows) -> alt.Chart:
    return alt.Chart(_data(rows))


def _legend(field: str) -> alt.Parameter:
    """Let clicks on the legend choose."""
    return alt.selection_point(name="chosen", fields=[field], bind="legend")


def _fade_others(chosen: alt.Parameter) -> Any:
    return alt.when(chosen).then(alt.value(1)).otherwise(alt.value(0.12))


def _zoom() -> alt.Parameter:
    return alt.selection_interval(
        name="zoom", encodings=["x"], zoom="wheel![event.shiftKey]", bind="scales"
    )


def _tips(**titles: str) -> list[alt.Tooltip]:
    """Show fields as they are, by their titles."""
    return [alt.Tooltip(f"{field}:N", title=title) for field, title in titles.items()]


def _days(rows: Rows) -> alt.X:
    """Make an axis in time of days (UTC), with room for some even if there are few rows."""
    days = [date.fromisoformat(row["day"]) for row in rows]
    last = max(days, default=date(1970, 1, 1))
    first = min([*days, last - timedelta(days=MIN_DAYS - 1)])
    step = max(1, round((last - first).days / MIN_DAYS))
    domain = [_noon(first - timedelta(days=1)), _noon(last)]
    return alt.X(
        "day:T",
        title=None,
        scale=alt.Scale(type="utc", domain=domain),
        axis=alt.Axis(
            format="%-d %b",
            tickCount=alt.TimeIntervalStep(interval="day", step=step),
            labelOverlap=True,
        ),
    )


def _noon(day: date) -> alt.DateTime:
    """Give half a day before or after a bar's middle; Vega takes a plain number for a year."""
    return alt.DateTime(year=day.year, month=day.month, date=day.day, hours=12, utc=True)


def _percent_texts(places: int, *fields: str) -> dict[str, str]:
    """Write shares as people read them, in FIELD_shown; less than the whole never rounds to it."""
    almost = 1 - 0.5 * 10 ** -(places + 2)
    over = f"'over {100 - 10**-places:.{places}f} %'"
    return {
        f"{field}_shown": (
            f"datum.{field} < 1 && datum.{field} >= {almost} ? {over} : "
            f"format(datum.{field} * 100, '.{places}f') + ' %'"
        )
        for field in fields
    }
