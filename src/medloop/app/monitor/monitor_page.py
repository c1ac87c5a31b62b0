"""Monitor: health of the services, what the model saw, and what people answered."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict

import numpy as np
import streamlit as st

from medloop.app.kit import charts
from medloop.app.kit.escape_markdown import plain
from medloop.app.kit.wording import count_of, percent
from medloop.app.monitor import alarms, monitor_view
from medloop.app.monitor.health import STORE, Checkup, Health, model_health, outbox_health, services
from medloop.app.process.backend import Backend, backend
from medloop.core.corrections.events import Correction
from medloop.core.monitoring import drift
from medloop.core.monitoring.intervals import wilson_interval
from medloop.core.printable import cell
from medloop.errors import MedloopError
from medloop.jobs import left_out
from medloop.serving import Served
from medloop.stores.predictions import PredictionLine

FIRST = "health-first"  # in the session's state: the page is being drawn, not looked at again
LOOK_S = 15.0
DAYS = 30  # that are looked at
MOST = 50_000  # newest predictions that are looked at
RECENT = 7  # newest days with predictions that drift is judged by
MARKS = {
    "OK": (":material/check_circle:", "green"),
    "away": (":material/error:", "red"),
    "not set": (":material/do_not_disturb_on:", "gray"),
}


def page() -> None:
    """Show the whole page."""
    back = backend()
    st.title("Monitor")
    place = st.container(key="alarms")
    st.header("Health", anchor=False)
    checkup = _checkup(str(back.settings.home), back)
    st.session_state[FIRST] = True
    _health(back, checkup)
    if checkup.is_away(STORE):
        st.error(
            "What the model saw and what people answered cannot be read: the store does not "
            "answer.",
            icon=":material/cloud_off:",
        )
        found, watched = [], alarms.Watched(alarm=False, sentence="")
    else:
        st.header("What the model saw", anchor=False)
        found = _seen(back)
        st.header("What people answered", anchor=False)
        _answered(back)
        watched = _promotion(str(back.settings.home), back)
        found += filter(None, [_left_out(str(back.settings.home), back)])
    with place:
        _alarms(back, watched, found)


def _alarms(back: Backend, watched: alarms.Watched, found: Sequence[str]) -> None:
    """Show alarms; drawn last, since they need what the rest has found out."""
    said = [
        *([watched.sentence] if watched.alarm else []),
        *filter(None, [alarms.stuck(back)]),
        *found,
    ]
    for sentence in said:
        st.error(plain(sentence), icon=":material/notification_important:")
    if not said:
        st.success("No alarm.", icon=":material/notifications_off:")
    if watched.sentence and not watched.alarm:
        st.caption(plain(watched.sentence))


@st.fragment(run_every=LOOK_S)
def _health(back: Backend, checkup: Checkup) -> None:
    with st.container(key="health"):
        for item in (model_health(back), outbox_health(back)):
            _line(item)
        first = st.session_state.pop(
            FIRST, False
        )  # later looks change the lines in place, and nothing moves
        with st.spinner("Asking the services …") if first else nullcontext():
            found = checkup.look()
        for item in found:
            _line(item)


def _line(item: Health) -> None:
    icon, color = MARKS[item.state]
    st.markdown(f":{color}-badge[{icon} {item.state}] **{item.name}**: {plain(item.detail)}")


def _seen(back: Backend) -> list[str]:
    """Show predictions and drift; give what is alarming."""
    try:
        lines = _lines(str(back.settings.home), back)
    except MedloopError as error:
        st.error(plain(f"The predictions cannot be read. {error}"), icon=":material/cloud_off:")
        return []
    if not lines:
        st.info(
            "No pictures yet. New ones appear within two minutes.",
            icon=":material/inbox:",
        )
        return []
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f"{count_of(len(lines), 'picture')} classified in the last {DAYS} days with pictures."
        )
        st.download_button(
            "CSV",
            lambda: _table(lines),
            file_name="predictions.csv",
            key="predictions-csv",
            type="tertiary",
            icon=":material/download:",
            on_click="ignore",
            help="Every prediction behind these charts",
        )
    rows = monitor_view.count_per_day((line.at, line.verdict) for line in lines)
    left, right = st.columns(2)
    left.altair_chart(charts.per_day(rows, title="Pictures"), alt="Pictures a day by verdict")
    share = charts.per_day(rows, title="Share of verdicts", share=True)
    right.altair_chart(share, alt="Share of verdicts a day")
    return _drift(back, lines)


def _drift(back: Backend, lines: Sequence[PredictionLine]) -> list[str]:
    """Compare the serving version's answers with those to test pictures; give what is alarming."""
    try:
        served = back.champion.current()
        reference = _reference(served.version, served, back)
    except MedloopError as error:
        st.info(plain(f"Drift cannot be told. {error}"), icon=":material/hourglass_empty:")
        return []
    own = [line for line in lines if line.model_version == served.version]
    if not own:
        st.info(
            f"Drift shows once version {served.version} has classified pictures.",
            icon=":material/hourglass_empty:",
        )
        return []
    days = sorted({line.at[:10] for line in own})[-RECENT:]
    recent = [line for line in own if line.at[:10] in days]
    confidence = drift.odd_confidence([line.confidence for line in recent], reference)
    distance = drift.odd_distance(
        [line.distance for line in recent if line.distance is not None], reference
    )
    left, right = st.columns(2)
    with left:
        sure = monitor_view.spread_per_day((line.at, line.confidence) for line in own)
        middle = float(np.median(reference.confidences))
        chart = charts.spread(sure, title="Confidence", reference=middle, percent=True)
        st.altair_chart(chart, alt="Confidence a day, with the middle of the test pictures")
        st.markdown(
            monitor_view.drift_sentence(
                "got a less sure answer than 19 of 20 test pictures", confidence
            )
        )
    with right:
        far = monitor_view.spread_per_day(
            (line.at, line.distance) for line in own if line.distance is not None
        )
        if far:
            middle = float(np.median(reference.distances))
            chart = charts.spread(far, title="How unlike what it knows", reference=middle)
            st.altair_chart(
                chart, alt="How unlike the pictures are a day, with the middle of the test pictures"
            )
        unlike = "are less like anything that it knows than 19 of 20 test pictures"
        st.markdown(monitor_view.drift_sentence(unlike, distance))
    st.caption(
        f"Version {served.version} on the last {count_of(len(days), 'day')} with pictures. Dots: "
        "the middle picture of a day; lines: 8 of 10 pictures; dashed: the middle test picture, "
        "which no training saw. How unlike: compared with the most similar labelled picture of "
        "the original data, as the model sees it (0: the same). Pictures learned from corrections "
        "are not among those."
    )
    return alarms.drifted(confidence, distance)


def _answered(back: Backend) -> None:
    try:
        answers = _answers(str(back.settings.home), back)
    except MedloopError as error:
        st.error(plain(f"The answers cannot be read. {error}"), icon=":material/cloud_off:")
        return
    if not answers:
        st.info("Nobody has confirmed or corrected an answer yet.", icon=":material/inbox:")
        return
    _charts(answers)


def _charts(answers: Sequence[Correction]) -> None:
    agreed = sum(answer.agrees for answer in answers)
    share = percent(agreed / len(answers))
    st.markdown(
        f"{count_of(len(answers), 'answer')}, {agreed} of them ({share}) confirmed the model."
    )
    if promise := monitor_view.promise_sentence(answers):
        st.markdown(plain(promise))
        st.caption(
            "The bound holds whenever you look, for answers like those checked, if who checked was "
            "right. People choose what they check: it is no random sample."
        )
    left, right = st.columns(2)
    with left:
        rows = monitor_view.count_per_day(
            (c.at, "confirmed" if c.agrees else "corrected") for c in answers
        )
        st.altair_chart(
            charts.per_day(rows, title="Answers"), alt="Confirmed and corrected answers a day"
        )
    with right:
        rows = monitor_view.count_per_day((c.at, c.verdict or "not recorded") for c in answers)
        chart = charts.per_day(rows, title="Share of verdicts", share=True)
        st.altair_chart(chart, alt="Verdicts of the answered pictures a day")
    for by, column in (("class", left), ("version", right)):
        rows = monitor_view.correction_rates(answers, by=by, interval=wilson_interval)  # type: ignore[arg-type]
        with column:
            chart = charts.intervals(rows, title=f"Share corrected, by {by}")
            st.altair_chart(chart, alt=f"Share of corrected answers by {by}")
    st.caption(
        "Lines: where the share probably lies, given so many answers (95 % interval). People "
        "answer what looks wrong more readily than what looks right: the share is no error rate."
    )


def _table(lines: Sequence[PredictionLine]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(PredictionLine.__dataclass_fields__))
    writer.writeheader()
    writer.writerows({key: cell(value) for key, value in asdict(line).items()} for line in lines)
    return out.getvalue().encode()


@st.cache_resource(max_entries=1, show_spinner=False)
def _checkup(home: str, _back: Backend) -> Checkup:
    """Keep one checkup per installation (folder `home`)."""
    return services(_back)


@st.cache_resource(ttl=60, max_entries=1, show_spinner="Reading the predictions …")
def _lines(home: str, _back: Backend) -> list[PredictionLine]:
    """Read the newest predictions, by day."""
    log, found = _back.context.predictions, list[PredictionLine]()
    for day in sorted(log.days(), reverse=True)[:DAYS]:
        found += log.read(day)
        if len(found) >= MOST:
            break
    return sorted(found, key=lambda line: line.at)[-MOST:]


@st.cache_resource(max_entries=1, show_spinner="Asking the model about the test pictures …")
def _reference(version: str, _served: Served, _back: Backend) -> drift.DriftBaseline:
    """Keep one drift baseline per model version."""
    return _back.recorder.references.of(_served)


@st.cache_resource(ttl=60, max_entries=1, show_spinner="Looking at the newest promotion …")
def _promotion(home: str, _back: Backend) -> alarms.Watched:
    """Judge the newest promotion."""
    return alarms.promotion(_back)


@st.cache_resource(ttl=60, max_entries=1, show_spinner=False)
def _left_out(home: str, _back: Backend) -> str:
    """Describe the events left out, in the installation in the folder `home`, the cache's key."""
    return left_out.describe(_back.context)


@st.cache_resource(ttl=30, max_entries=1, show_spinner="Reading the answers …")
def _answers(home: str, _back: Backend) -> list[Correction]:
    """Read what people answered."""
    from medloop.jobs.review import all_events

    return monitor_view.answers(all_events(_back.context))
