"""Models: versions, scores, the gate's report, who moved the champion when, and the levers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import streamlit as st

from medloop.app.kit import charts
from medloop.app.kit.escape_markdown import plain
from medloop.app.kit.state import show_failure, visitor
from medloop.app.kit.wording import ago, day_and_time, percent
from medloop.app.models import gate_words, model_actions, models_view
from medloop.app.models.gate_report import gate_report
from medloop.app.models.model_dialogs import levers
from medloop.app.models.models_view import VersionRow
from medloop.app.process.backend import Backend, backend
from medloop.core.corrections.events import Promotion
from medloop.core.gate.report import GateReport
from medloop.errors import MedloopError, NotFoundError
from medloop.jobs.alias_moves import moves
from medloop.stores.registry import REPORT_FILE

PLOTTED = 20  # newest versions in the plots


def page() -> None:
    """Show the whole page."""
    back = backend()
    st.title("Models")
    show_failure()
    if done := st.session_state.pop("done", None):
        st.success(plain(done), icon=":material/check:")
    try:
        with st.spinner("Asking the model registry …"):
            rows = [
                models_view.version_row(version) for version in back.context.registry.versions()
            ][::-1]
    except MedloopError as error:
        st.error(plain(f"The model registry does not answer. {error}"), icon=":material/cloud_off:")
        st.caption("The Classify page goes on with the model that it has.")
        return
    if not rows:
        _no_model(back)
        return
    _roles(back, rows)
    levers(back, rows)
    drawn: dict[str, Callable[[Backend, Sequence[VersionRow]], None]] = {
        "Versions": _versions,
        "Test report": _report,
        "History": _history,
    }
    for tab, draw in zip(
        st.tabs(list(drawn), key="models-tab", on_change="rerun"), drawn.values(), strict=True
    ):
        if tab.open:
            with tab:
                draw(back, rows)


def _no_model(back: Backend) -> None:
    st.info(
        "There is no model yet. The first one is trained on the server when medloop is set up, "
        "within some minutes: "
        "come back then. If there is still none, tell whoever runs the server.",
        icon=":material/hourglass_empty:",
    )
    if visitor(back).may("retrain"):
        st.caption("On the server, `medloop bootstrap` installs it.")


def _roles(back: Backend, rows: Sequence[VersionRow]) -> None:
    """Show champion, challenger and reference side by side."""
    hints = {
        "champion": "The version that answers.",
        "challenger": "The newest version that was tested and has not replaced the champion.",
        "reference": "A fixed version: no new one may be worse.",
    }
    for column, (role, hint) in zip(st.columns(3), hints.items(), strict=True):
        row = next((row for row in rows if role in row.roles), None)
        with column:
            accuracy = (
                f"{percent(row.accuracy, places=2)} right"
                if row and row.accuracy is not None
                else None
            )
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
            if row and (link := model_actions.mlflow_link(back.settings, row.version)):
                st.link_button(
                    "Open in MLflow", link, type="tertiary", icon=":material/open_in_new:"
                )


def _versions(back: Backend, rows: Sequence[VersionRow]) -> None:
    found, failed = {}, ""
    try:
        found = _reports(back, rows[:PLOTTED])
    except MedloopError as error:
        failed = f"The test reports cannot be read just now. {error}"
    now = back.context.now()
    table = [
        {
            "Version": row.version,
            "Role": ", ".join(row.roles),
            "Trained": ago(row.created_at, now),
            "Corrections": row.corrections,
            "Right on the test pictures": percent(row.accuracy, places=2)
            if row.accuracy is not None
            else "",
            "Tests": row.tests,
            "Why not": gate_words.why_not(found[row.version]) if row.version in found else "",
        }
        for row in rows
    ]
    st.dataframe(table, hide_index=True, alt="All versions, the newest first")
    if failed:
        st.warning(plain(failed), icon=":material/cloud_off:")
    plotted = rows[:PLOTTED][::-1]
    _plot(
        "Right on the test pictures, by class",
        models_view.score_points(plotted, found),
        several=len(plotted) > 1,
    )
    _plot("Right by kind of picture", models_view.slice_points(plotted, found), several=True)


def _plot(title: str, points: list[dict[str, object]], *, several: bool) -> None:
    if points and several:
        st.header(title, anchor=False)
        st.altair_chart(charts.scores_over_versions(points), alt=f"{title}, over versions")


def _report(back: Backend, rows: Sequence[VersionRow]) -> None:
    judged = [row for row in rows if row.gate]
    if not judged:
        st.info("No version has been tested against a champion yet.", icon=":material/rule:")
        return
    version = st.selectbox("Version", [row.version for row in judged], key="report-version")
    row = next(row for row in judged if row.version == version)
    try:
        report = _reports(back, [row]).get(version)
    except MedloopError as error:
        st.error(plain(f"The report cannot be read. {error}"), icon=":material/cloud_off:")
        return
    if report is None:
        st.info("This version's report is not there any more.", icon=":material/rule:")
        return
    champion = next((row.version for row in rows if "champion" in row.roles), None)
    try:
        made = _moves(champion, str(back.settings.home), back)
    except MedloopError:
        made = []  # the verdict stands without; the History tab says what is away
    gate_report(back, report, champion=champion, moves=made)


def _history(back: Backend, rows: Sequence[VersionRow]) -> None:
    champion = next((row.version for row in rows if "champion" in row.roles), None)
    try:
        found = _moves(champion, str(back.settings.home), back)
    except MedloopError as error:
        st.error(plain(f"The history cannot be read. {error}"), icon=":material/cloud_off:")
        return
    if not found:
        st.info("No version was ever promoted.", icon=":material/history:")
        return
    points = models_view.promotion_points(found)
    st.altair_chart(charts.champion_over_time(points), alt="Which version was champion when")
    for move in reversed(found):
        st.markdown(f"**{day_and_time(move.at)}** {plain(models_view.promotion_sentence(move))}")


@st.cache_data(ttl=30, max_entries=4, show_spinner="Reading the history …")
def _moves(champion: str | None, home: str, _back: Backend) -> list[Promotion]:
    """Read the history; the champion and the folder `home` are the cache's key."""
    return moves(_back.context)


def _reports(back: Backend, rows: Iterable[VersionRow]) -> dict[str, GateReport]:
    """Read, by version, the reports that are still there.

    Raises:
        StoreError: The registry does not answer, or a report is damaged.
    """
    home = str(back.settings.home)
    found = {
        row.version: _read_report(row.run_id, row.gate, home, back) for row in rows if row.gate
    }
    return {version: report for version, report in found.items() if report is not None}


@st.cache_resource(ttl=600, max_entries=50, show_spinner="Reading the test reports …")
def _read_report(run_id: str, gate: str, home: str, _back: Backend) -> GateReport | None:
    """Read one report; a version may be judged again, hence `gate` in the cache's key."""
    try:
        return GateReport.from_json(_back.context.registry.attachment(run_id, REPORT_FILE))
    except NotFoundError:
        return None
