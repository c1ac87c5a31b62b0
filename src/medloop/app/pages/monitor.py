"""Monitor: does everything answer, and what do people's answers say about the model."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from medloop.app import charts, monitor_view
from medloop.app.backend import Backend, backend
from medloop.app.health import Health, model_health, outbox_health, service_health
from medloop.app.verdicts import count_of
from medloop.core.events import Correction
from medloop.errors import MedloopError

LOOK_S = 15.0
MARKS = {
    "well": (":material/check_circle:", "green"),
    "away": (":material/error:", "red"),
    "not set": (":material/do_not_disturb_on:", "gray"),
}


def page() -> None:
    """The whole page."""
    back = backend()
    st.title("Monitor")
    st.subheader("Health", anchor=False)
    _health(back)
    st.subheader("What people answered", anchor=False)
    try:
        answers = _answers(str(back.settings.home), back)
    except MedloopError as error:
        st.error(f"The answers cannot be read. {error}", icon=":material/cloud_off:")
        return
    if not answers:
        st.info("Nobody has confirmed or corrected an answer yet.", icon=":material/inbox:")
        return
    _charts(answers)


@st.fragment(run_every=LOOK_S)
def _health(back: Backend) -> None:
    with st.container(key="health"):
        for item in [model_health(back), outbox_health(back), *service_health(back)]:
            _line(item)


def _line(item: Health) -> None:
    icon, color = MARKS[item.state]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(item.state, icon=icon, color=color)  # type: ignore[arg-type]  # a table of literals
        st.markdown(f"**{item.name}**: {item.detail}")


def _charts(answers: Sequence[Correction]) -> None:
    from medloop.core.intervals import wilson_interval

    agreed = sum(map(monitor_view.agreed, answers))
    st.markdown(f"{count_of(len(answers), 'answer')}, {agreed} of them confirmed the model.")
    left, right = st.columns(2)
    with left:
        rows = monitor_view.answers_per_day(answers)
        st.vega_lite_chart(charts.per_day(rows, title="Answers"), alt="Confirmed and corrected answers a day")
    with right:
        rows = monitor_view.verdicts_per_day(answers)
        chart = charts.per_day(rows, title="Share of verdicts", share=True)
        st.vega_lite_chart(chart, alt="Verdicts of the answered pictures a day")
    for by, column in (("class", left), ("version", right)):
        rows = monitor_view.correction_rates(answers, by=by, interval=wilson_interval)  # type: ignore[arg-type]
        with column:
            chart = charts.intervals(rows, title=f"Corrected, by {by}, with 95 % interval")
            st.vega_lite_chart(chart, alt=f"Share of corrected answers by {by}")
    st.caption("People answer what looks wrong more readily than what looks right: the share is no error rate.")


@st.cache_resource(ttl=30, max_entries=1, show_spinner="Reading the answers …")
def _answers(home: str, _back: Backend) -> list[Correction]:
    """Of the installation in the folder `home`: that is the cache's key."""
    from medloop.jobs.review import all_events

    return monitor_view.answers(all_events(_back.loop))
