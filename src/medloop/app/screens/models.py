"""Models: versions and their scores, the gate's report, who moved the champion when, and the levers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import streamlit as st

from medloop.app import charts, models_view, operations
from medloop.app.backend import Backend, backend
from medloop.app.disagreements import MOST, Disagreement, disagreements
from medloop.app.models_view import VersionRow
from medloop.app.state import attempt, show_failure, user, visitor
from medloop.app.training_run import training_run
from medloop.app.verdicts import class_name, count_of
from medloop.app.when import ago, day_and_time
from medloop.core.predict import Predictor
from medloop.errors import MedloopError, NotFoundError
from medloop.jobs.promote import moves

PLOTTED = 20  # newest versions in the plots


def page() -> None:
    """The whole page."""
    back = backend()
    st.title("Models")
    show_failure()
    if done := st.session_state.pop("done", None):
        st.success(done, icon=":material/check:")
    try:
        rows = [models_view.version_row(version) for version in back.loop.registry.versions()][::-1]
    except MedloopError as error:
        st.error(f"The model registry does not answer. {error}", icon=":material/cloud_off:")
        st.caption("The Classify page goes on with the model that it has.")
        return
    if not rows:
        st.info("There is no model yet. `medloop bootstrap` trains the first one.", icon=":material/hourglass_empty:")
        return
    _roles(back, rows)
    _levers(back, rows)
    versions, tests, history = st.tabs(["Versions", "Test report", "History"])
    with versions:
        _versions(back, rows)
    with tests:
        _report(back, rows)
    with history:
        _history(back)


def _roles(back: Backend, rows: Sequence[VersionRow]) -> None:
    """Champion, challenger and reference side by side."""
    hints = {
        "champion": "The version that answers.",
        "challenger": "The newest version that was tested against the champion.",
        "reference": "A fixed version that every new one must not be worse than.",
    }
    for column, (role, hint) in zip(st.columns(3), hints.items(), strict=True):
        row = next((row for row in rows if role in row.roles), None)
        with column:
            accuracy = f"{row.accuracy:.2%} right" if row and row.accuracy is not None else None
            st.metric(
                role.capitalize(),
                f"Version {row.version}" if row else "none",
                accuracy,
                delta_color="off",
                delta_arrow="off",
                help=hint,
                border=True,
                height=132,
            )
            if row and (link := operations.mlflow_link(back.settings, row.version)):
                st.link_button("Open in MLflow", link, type="tertiary", icon=":material/open_in_new:")


def _levers(back: Backend, rows: Sequence[VersionRow]) -> None:
    who = visitor(back)
    with st.container(horizontal=True, key="levers"):
        if st.button("Retrain now", key="retrain", icon=":material/model_training:", disabled=not who.may("retrain")):
            _retrain_dialog(back)
        if st.button("Roll back", key="roll-back", icon=":material/undo:", disabled=not who.may("rollback")):
            _roll_back_dialog(back)
        if st.button("Promote by hand", key="promote", icon=":material/upgrade:", disabled=not who.may("promote")):
            _promote_dialog(back, rows)
    if run_id := st.query_params.get("run"):  # in the address, so that a reload goes on watching
        training_run(back, run_id)


@st.dialog("Retrain now")
def _retrain_dialog(back: Backend) -> None:
    st.markdown("Airflow collects the new corrections, trains on them and tests the result. This takes some minutes.")
    force = st.checkbox("Train even if there is little new", key="retrain-force")
    if st.button("Start", key="retrain-start", type="primary"):
        started = attempt(lambda: operations.start_training(back, user=user(back), force=force))
        if started:
            st.query_params["run"] = started
            st.rerun()


@st.dialog("Roll back")
def _roll_back_dialog(back: Backend) -> None:
    st.markdown("The champion before the present one answers again, in every open page, within seconds.")
    reason = st.text_input("Reason (stands in the history beside your name)", key="roll-back-reason")
    if st.button("Roll back", key="roll-back-sure", type="primary", disabled=not reason.strip()):
        _finish(attempt(lambda: operations.roll_back(back, user=user(back), reason=reason)))


@st.dialog("Promote by hand")
def _promote_dialog(back: Backend, rows: Sequence[VersionRow]) -> None:
    st.warning("This overrules the tests. Look at the test report first.", icon=":material/warning:")
    choices = [row.version for row in rows if "champion" not in row.roles]
    version = st.selectbox("Version", choices, key="promote-version")
    reason = st.text_input("Reason (stands in the history beside your name)", key="promote-reason")
    if st.button("Promote", key="promote-sure", type="primary", disabled=not (reason.strip() and version)):
        _finish(attempt(lambda: operations.promote_by_hand(back, user=user(back), version=str(version), reason=reason)))


def _finish(sentence: str | None) -> None:
    if sentence:
        st.session_state["done"] = sentence
        st.rerun()


def _versions(back: Backend, rows: Sequence[VersionRow]) -> None:
    now = back.loop.now()
    table = [
        {
            "Version": row.version,
            "Role": ", ".join(row.roles),
            "Trained": ago(row.created_at, now),
            "Corrections": row.corrections,
            "Right on the test": f"{row.accuracy:.2%}" if row.accuracy is not None else "",
            "Gate": row.gate,
            "Why": " ".join(row.reasons[:2]),
        }
        for row in rows
    ]
    st.dataframe(table, hide_index=True, alt="All versions, the newest first")
    metrics = [(row.version, _metrics(row.run_id, row.gate, str(back.settings.home), back)) for row in rows[:PLOTTED]]
    points = models_view.metric_points(reversed(metrics))
    if len(metrics) > 1 and points:
        st.subheader("Right on the test pictures, by class", anchor=False)
        st.vega_lite_chart(charts.scores_over_versions(points), alt="Share of right answers by version and class")
    _slices(back, rows)


def _slices(back: Backend, rows: Sequence[VersionRow]) -> None:
    home = str(back.settings.home)
    try:
        reports = [_report_of(row.run_id, row.gate, home, back) for row in rows[:PLOTTED] if row.gate]
    except MedloopError as error:
        st.caption(f"The test reports cannot be read just now. {error}")
        return
    if points := models_view.slice_points(filter(None, reports)):
        st.subheader("Right by kind of picture", anchor=False)
        st.vega_lite_chart(charts.scores_over_versions(points), alt="Share of right answers by version and kind")


def _report(back: Backend, rows: Sequence[VersionRow]) -> None:
    judged = [row for row in rows if row.gate]
    if not judged:
        st.info("No version has been tested against a champion yet.", icon=":material/rule:")
        return
    version = st.selectbox("Version", [row.version for row in judged], key="report-version")
    row = next(row for row in judged if row.version == version)
    try:
        report = _report_of(row.run_id, row.gate, str(back.settings.home), back)
    except MedloopError as error:
        st.error(f"The report cannot be read. {error}", icon=":material/cloud_off:")
        return
    if report is None:
        st.info("This version's report is not there any more.", icon=":material/rule:")
        return
    (st.success if report["decision"]["passed"] else st.warning)(models_view.verdict(report))
    checks = models_view.check_rows(report)
    st.markdown("\n".join(f"- :material/{'check' if c.passed else 'close'}: {c.reason}" for c in checks))
    measured = [asdict(c) | {"result": "passed" if c.passed else "failed"} for c in checks if c.bound is not None]
    if measured:
        st.vega_lite_chart(charts.gate_checks(measured), alt="Accuracy lost by each check, and what is allowed")
    if report["scores"]:
        _pictures_of(report)
        _disagreements(back, report)


def _pictures_of(report: Mapping[str, Any]) -> None:
    left, right = st.columns(2)
    with left:
        st.subheader("Truth and answer", anchor=False)
        cells = models_view.confusion_cells(report["scores"]["challenger"])
        st.vega_lite_chart(charts.confusion_matrix(cells), alt="Confusion matrix of the tested version")
    with right:
        st.subheader("Can the percentages be believed?", anchor=False)
        points = models_view.reliability_points(report)
        st.vega_lite_chart(charts.reliability(points), alt="Share right by confidence, for champion and tested version")


def _disagreements(back: Backend, report: Mapping[str, Any]) -> None:
    box = st.expander("Test pictures on which the two versions disagree", key="disagreements", on_change="rerun")
    if not box.open:
        return
    with box:
        try:
            found = _compare(report["champion_version"], report["version"], report["base_id"], back)
        except MedloopError as error:
            st.error(f"The versions cannot be compared. {error}", icon=":material/cloud_off:")
            return
        st.markdown(f"{count_of(len(found), 'picture')}: the old answer, then the new one.")
        shown = found[:MOST]
        st.image(
            [item.pixels for item in shown],
            width=104,
            caption=[f"{class_name(item.old)} → {class_name(item.new)} ({item.outcome})" for item in shown],
            alt=[f"{class_name(item.truth)}, {item.outcome}" for item in shown],
        )


def _history(back: Backend) -> None:
    try:
        found = moves(back.loop)
    except MedloopError as error:
        st.error(f"The history cannot be read. {error}", icon=":material/cloud_off:")
        return
    if not found:
        st.info("No version was ever promoted.", icon=":material/history:")
        return
    points = models_view.promotion_points(found)
    st.vega_lite_chart(charts.champion_over_time(points), alt="Which version was champion when")
    for move in reversed(found):
        st.markdown(f"**{day_and_time(move.at)}** {models_view.promotion_sentence(move)}")


@st.cache_data(ttl=600, max_entries=200, show_spinner=False)
def _metrics(run_id: str, gate: str, home: str, _back: Backend) -> dict[str, float]:
    """Of a run; `gate` is part of the key, since judging adds metrics."""
    try:
        return _back.loop.registry.metrics(run_id)
    except NotFoundError:
        return {}


@st.cache_data(ttl=600, max_entries=50, show_spinner=False)
def _report_of(run_id: str, gate: str, home: str, _back: Backend) -> dict[str, Any] | None:
    """The gate's report on a version; `gate` is part of the key, since a version may be judged again."""
    try:
        return models_view.parse_report(_back.loop.registry.attachment(run_id, models_view.REPORT_FILE))
    except NotFoundError:
        return None


@st.cache_resource(max_entries=2, show_spinner="Comparing …")
def _compare(old: str, new: str, base_id: str, _back: Backend) -> list[Disagreement]:
    models = [Predictor(_back.loop.registry.model_file(version)) for version in (old, new)]
    return disagreements(models[0], models[1], _back.loop.datasets.get(base_id))
