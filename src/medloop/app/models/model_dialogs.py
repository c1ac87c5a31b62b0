"""The levers of the Models page as buttons and dialogs: retrain now, roll back, promote by hand."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from medloop.app.kit.escape_markdown import plain
from medloop.app.kit.state import attempt, user, visitor
from medloop.app.models import model_actions
from medloop.app.models.models_view import VersionRow
from medloop.app.process.backend import Backend
from medloop.errors import MedloopError, NotFoundError
from medloop.stores.airflow import Airflow

POLL_S = 2.0  # of a training
REASON = "Reason (stands in the history beside your name)"


def levers(back: Backend, rows: Sequence[VersionRow]) -> None:
    """Show the buttons, and the training that was started with one of them."""
    who = visitor(back)
    with st.container(horizontal=True, key="levers"):
        if st.button(
            "Retrain now",
            key="retrain",
            icon=":material/model_training:",
            disabled=not who.may("retrain"),
        ):
            retrain_dialog(back, rows)
        if st.button(
            "Roll back", key="roll-back", icon=":material/undo:", disabled=not who.may("rollback")
        ):
            roll_back_dialog(back)
        if st.button(
            "Promote by hand",
            key="promote",
            icon=":material/upgrade:",
            disabled=not who.may("promote"),
        ):
            promote_dialog(back, rows)
    if run_id := st.query_params.get("run"):  # in the address, so that a reload goes on watching
        training_run(back, run_id)


@st.dialog("Retrain now")
def retrain_dialog(back: Backend, rows: Sequence[VersionRow]) -> None:
    """Start a training."""
    st.markdown(
        "Airflow collects the new corrections, trains on them and tests the result. This takes "
        "some minutes."
    )
    if new := attempt(lambda: model_actions.new_base(back, rows)):
        st.info(plain(new), icon=":material/database:")
    force = st.checkbox("Train even if there is little new", key="retrain-force")
    if st.button("Start", key="retrain-start", type="primary"):
        started = attempt(lambda: model_actions.start_training(back, user=user(back), force=force))
        if started:
            st.query_params["run"] = started
            st.rerun()


@st.dialog("Roll back")
def roll_back_dialog(back: Backend) -> None:
    """Bring the champion before the present one back."""
    try:
        step = model_actions.way_back(back)
    except MedloopError as error:
        st.error(plain(f"The history cannot be read. {error}"), icon=":material/cloud_off:")
        return
    if step is None:
        st.info("There is no earlier champion to go back to.", icon=":material/history:")
        return
    now, before = step
    st.markdown(
        f"**Version {before}** answers again instead of version {now}, in every open page, within "
        "seconds."
    )
    with st.form("roll-back-form", border=False):
        reason = st.text_input(REASON, key="roll-back-reason")
        sure = st.form_submit_button(
            f"Roll back to version {before}", key="roll-back-sure", type="primary"
        )
    if sure:
        _finish(
            attempt(
                lambda: model_actions.roll_back(back, user=user(back), reason=reason, to=before)
            )
        )


@st.dialog("Promote by hand")
def promote_dialog(back: Backend, rows: Sequence[VersionRow]) -> None:
    """Let any version answer."""
    tests = {row.version: row.tests or "not made" for row in rows if "champion" not in row.roles}
    if not tests:
        st.info("There is no version besides the champion.", icon=":material/upgrade:")
        return
    st.warning(
        "This overrules the tests. Look at the test report first.", icon=":material/warning:"
    )
    with st.form("promote-form", border=False):
        version = st.selectbox(
            "Version", tests, key="promote-version", format_func=lambda v: f"{v} (tests {tests[v]})"
        )
        reason = st.text_input(REASON, key="promote-reason")
        sure = st.form_submit_button("Promote", key="promote-sure", type="primary")
    if sure:
        _finish(
            attempt(
                lambda: model_actions.promote_by_hand(
                    back, user=user(back), version=version, reason=reason
                )
            )
        )


def _finish(sentence: str | None) -> None:
    if sentence:
        st.session_state["done"] = sentence
        st.rerun()


def training_run(back: Backend, run_id: str) -> None:
    """Show a box that follows one run."""
    finished = st.session_state.get("run_finished") == run_id

    @st.fragment(run_every=None if finished else POLL_S)
    def draw() -> None:
        with st.container(border=True, key="training-run"):
            try:
                airflow = Airflow(back.settings)
                run = airflow.run(run_id)
            except NotFoundError:
                st.info(
                    "Airflow knows no such training. Start one with “Retrain now”.",
                    icon=":material/search_off:",
                )
                return
            except MedloopError as error:
                st.warning(
                    plain(f"Airflow does not answer; a training goes on all the same. {error}"),
                    icon=":material/cloud_off:",
                )
                return
            if run.finished:
                st.markdown(plain(model_actions.outcome(airflow, run)))
            else:
                st.progress(model_actions.progress(run), text="Training is under way")
            for row in model_actions.task_rows(run):
                st.markdown(
                    f":material/{'check' if row.done else 'pending'}: {row.name}: {row.word}"
                )
            if link := model_actions.airflow_link(back.settings, run_id):
                st.link_button(
                    "Open in Airflow", link, type="tertiary", icon=":material/open_in_new:"
                )
        if run.finished and not finished:
            st.session_state["run_finished"] = run_id
            st.rerun(scope="app")

    draw()
