"""A version's test report: the verdict, pictures of right and wrong, every check. Widgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Final

import streamlit as st

from medloop.app.kit import charts
from medloop.app.kit.escape_markdown import plain
from medloop.app.kit.pictures import preview_png
from medloop.app.kit.wording import class_name, count_of
from medloop.app.models import gate_words, models_view
from medloop.app.models.disagreements import MOST, Disagreement, caption, disagreements
from medloop.app.models.gate_words import CheckRow
from medloop.app.process.backend import Backend
from medloop.core.corrections.events import Promotion
from medloop.core.gate.report import GateReport, RecentPictures
from medloop.core.imaging.decode import decode
from medloop.core.prediction.predictor import Predictor
from medloop.errors import MedloopError

PICTURE_WIDTH = 120  # pixels; the test pictures have 64
OUTCOMES: Final[Mapping[str, str]] = {
    "lost": "Right before, wrong now",
    "gained": "Wrong before, right now",
    "both wrong": "Wrong both times, in different ways",
}


def gate_report(
    back: Backend, report: GateReport, *, champion: str | None, moves: Sequence[Promotion]
) -> None:
    """Show the whole report, what people look at first on top."""
    (st.success if report.passed else st.warning)(plain(gate_words.verdict(report)))
    if standing := gate_words.explain_standing(report, champion=champion, moves=moves):
        st.markdown(f":material/info: {standing}")
    rows = gate_words.check_rows(report)
    failed = [row for row in rows if not row.passed]
    if failed:
        _list(failed)
    if report.scores:
        _pictures(report)
        _disagreements(back, report)
    if report.recent and report.recent.pictures:
        _recent(back, report.recent)
    _checks(rows, n_failed=len(failed))


def _list(rows: Sequence[CheckRow]) -> None:
    for row in rows:
        mark = ":green[:material/check:]" if row.passed else ":red[:material/close:]"
        st.markdown(f"{mark} {plain(row.sentence)}")


def _pictures(report: GateReport) -> None:
    left, right = st.columns(2)
    with left:
        st.header("Truth and answer", anchor=False)
        cells = models_view.confusion_cells(report.scores["challenger"])
        st.altair_chart(
            charts.confusion_matrix(cells), alt="Confusion matrix of the tested version"
        )
        st.caption(
            "How many test pictures of each class got which answer; what lies off the diagonal is "
            "wrong."
        )
    with right:
        st.header("Can the percentages be believed?", anchor=False)
        points = models_view.reliability_points(report)
        st.altair_chart(
            charts.reliability(points), alt="Share right by confidence, for both versions"
        )
        st.caption("On the dashed line, of the answers given with 90 %, 90 in 100 are right.")


def _disagreements(back: Backend, report: GateReport) -> None:
    """Show pictures on which the tested version and the one before differ."""
    with st.container(key="disagreements"):
        st.header("Where the two versions disagree", anchor=False)
        try:
            found = _compare(
                report.champion_version,
                report.version,
                report.base_id,
                str(back.settings.home),
                back,
            )
        except MedloopError as error:
            st.error(
                plain(f"The versions cannot be compared. {error}"), icon=":material/cloud_off:"
            )
            return
        if not found:
            st.markdown("Both versions give the same answer to every test picture.")
        for outcome, words in OUTCOMES.items():
            _outcome(words, [item for item in found if item.outcome == outcome])


def _outcome(words: str, found: Sequence[Disagreement]) -> None:
    if not found:
        return
    few = f", {MOST} of them shown" if len(found) > MOST else ""
    st.markdown(f"**{words}**: {count_of(len(found), 'test picture')}{few}")
    shown = found[:MOST]
    st.image(
        [item.pixels for item in shown],
        width=PICTURE_WIDTH,
        caption=[caption(item) for item in shown],
        alt=[f"Test picture of class {class_name(item.truth)}" for item in shown],
    )


def _recent(back: Backend, recent: RecentPictures) -> None:
    """Show which pictures of the last weeks get another answer, as far as they are kept."""
    with st.container(key="recent"):
        st.subheader("Answers changed on recent real pictures", anchor=False)
        few = f"; {MOST} of them are shown" if len(recent.changed) > MOST else ""
        st.markdown(
            f"**{len(recent.changed)}** of {count_of(recent.pictures, 'picture')} that people "
            f"corrected or confirmed in the {recent.days} days before{few}."
        )
        shown = recent.changed[:MOST]
        hashes = [item.image_sha256 for item in shown]
        try:
            kept = dict(zip(hashes, back.context.corrections.images(hashes), strict=True))
        except MedloopError as error:
            st.error(plain(f"They cannot be shown. {error}"), icon=":material/cloud_off:")
            return
        there = [(item, png) for item in shown if (png := kept[item.image_sha256])]
        if there:
            words = [f"{class_name(item.before)} → {class_name(item.after)}" for item, _ in there]
            st.image(
                [preview_png(decode(png).pixels, side=PICTURE_WIDTH) for _, png in there],
                width=PICTURE_WIDTH,
                caption=words,
                alt=[f"Recent picture: {told}" for told in words],
            )


def _checks(rows: Sequence[CheckRow], *, n_failed: int) -> None:
    came_out = f"{n_failed} failed" if n_failed else "all passed"
    with st.expander(
        f"{count_of(len(rows), 'check')}: {came_out}", key="checks", icon=":material/rule:"
    ):
        _list(rows)
        measured = [
            asdict(row) | {"result": "passed" if row.passed else "failed"}
            for row in rows
            if row.bound
        ]
        if measured:
            st.altair_chart(
                charts.gate_checks(measured), alt="Accuracy lost by each check, and what is allowed"
            )
            st.caption(
                "Dots: what was lost on these pictures, left of 0: gained. Lines: how much it may "
                "be on others like them. Grey marks: a loss that must be excluded."
            )


@st.cache_resource(max_entries=2, show_spinner="Asking both versions about the test pictures …")
def _compare(old: str, new: str, base_id: str, home: str, _back: Backend) -> list[Disagreement]:
    """Compare two versions; the folder `home` of the installation is in the cache's key."""
    models = [Predictor(_back.context.registry.model_file(version)) for version in (old, new)]
    return disagreements(models[0], models[1], _back.context.datasets.get(base_id))
