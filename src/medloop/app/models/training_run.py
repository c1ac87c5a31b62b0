"""The progress of a training that was started from the page.

Widgets; polls Airflow until the run is over.
"""

from __future__ import annotations

import streamlit as st

from medloop.app.kit.escape_markdown import plain
from medloop.app.models import model_actions
from medloop.app.process.backend import Backend
from medloop.errors import MedloopError
from medloop.stores.airflow import Airflow

POLL_S = 2.0


def training_run(back: Backend, run_id: str) -> None:
    """Show a box that follows one run."""
    finished = st.session_state.get("run_finished") == run_id

    @st.fragment(run_every=None if finished else POLL_S)
    def draw() -> None:
        with st.container(border=True, key="training-run"):
            try:
                airflow = Airflow(back.settings)
                run = airflow.run(run_id)
            except MedloopError as error:
                st.warning(
                    plain(f"The run goes on, but Airflow does not answer. {error}"),
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
