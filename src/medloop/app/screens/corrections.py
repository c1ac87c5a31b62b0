"""My corrections: what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st

from medloop.app.backend import Backend, backend
from medloop.app.journey import Learned, Said, last_said, may_withdraw, steps, was
from medloop.app.pictures import preview_png
from medloop.app.snapshots_view import SnapshotFacts, snapshot_facts, uses
from medloop.app.state import guarded, show_failure, user, visitor
from medloop.app.timeline import timeline
from medloop.app.verdicts import class_name, count_of
from medloop.app.when import ago
from medloop.core.decode import decode
from medloop.core.events import Correction
from medloop.core.predict import Prediction
from medloop.errors import MedloopError
from medloop.jobs.correct import withdraw
from medloop.serving import Served

PAGE_SIZE = 10
HISTORY = 1_000  # newest events that are looked at


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What the stores say; None where they do not answer or there is nothing yet."""

    latest: SnapshotFacts | None
    served: Served | None
    uses: dict[tuple[str, str | None], str]  # what the serving version's training did, by image hash and label


def page() -> None:
    """The whole page."""
    back = backend()
    st.title("My corrections")
    show_failure()
    said = last_said(back.loop.outbox.history(back.loop.identify(visitor(back).name), HISTORY))
    if not said:
        st.info("You have not corrected or confirmed anything on this machine yet.", icon=":material/inbox:")
        return
    known = _known(back)
    waiting = sum(item.state == "pending" for item in said)
    st.markdown(
        f"**{count_of(len(said), 'picture')}**" + (f", {waiting} not stored yet" if waiting else ", all stored")
    )
    pages = -(-len(said) // PAGE_SIZE)
    number = st.pagination(pages, key="corrections-page") if pages > 1 else 1
    shown = said[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    pictures = _pictures(back, shown)
    for item in shown:
        _row(back, item, pictures.get(item.correction.image_sha256), known)


def _row(back: Backend, said: Said, pixels: np.ndarray | None, known: Known) -> None:
    correction = said.correction
    facts = known.latest if known.latest and correction.id in known.latest.event_ids else None
    learned = _learned(known, correction, pixels)
    way = steps(
        said,
        decision=facts.decisions.get(correction.image_sha256) if facts else None,
        snapshot=facts.snapshot_id if facts else None,
        learned=learned,
    )
    with st.container(border=True, key=f"correction-{correction.id}"):
        left, right = st.columns([1, 6], wrap=False)
        if pixels is not None:
            alt = f"The picture that you called {class_name(correction.given_label)}"
            left.image(preview_png(pixels, side=176), width=88, alt=alt)
        else:
            left.markdown(":material/hide_image:", help="The picture is not in the store yet, or was erased.")
        with right:
            st.markdown(f"**{class_name(correction.given_label)}** · {ago(correction.at, back.loop.now())}")
            st.caption(was(correction))
            st.html(timeline(way))
            if may_withdraw(said, in_snapshot=facts is not None):
                st.button(
                    "Take back",
                    key=f"withdraw-{correction.id}",
                    icon=":material/undo:",
                    on_click=guarded(lambda: _withdraw(back, correction.image_sha256)),
                )


def _withdraw(back: Backend, image_sha256: str) -> None:
    person = user(back)
    person.require("correct")
    withdraw(back.loop, image_sha256=image_sha256, who=person.name)


def _known(back: Backend) -> Known:
    """Ask the stores; what does not answer is left out, and the page says so."""
    served = latest = None
    found: dict[tuple[str, str | None], str] = {}
    try:
        served = back.champion.current()
        manifest = back.loop.snapshots.latest()
        latest = _facts(manifest.snapshot_id, back) if manifest else None
        found = _uses(served.version, str(back.settings.home), back)
    except MedloopError as error:
        st.warning(f"Not everything is known at the moment. {error}", icon=":material/cloud_off:")
    return Known(latest, served, found)


def _learned(known: Known, correction: Correction, pixels: np.ndarray | None) -> Learned | None:
    if known.served is None:
        return None
    use = known.uses.get((correction.image_sha256, correction.given_label))
    return Learned(version=known.served.version, use=use, prediction=_answer(known.served, pixels))


def _answer(served: Served, pixels: np.ndarray | None) -> Prediction | None:
    return served.predictor.predict([pixels])[0] if pixels is not None else None


def _pictures(back: Backend, shown: Sequence[Said]) -> dict[str, np.ndarray]:
    """Pixels of what is stored, by image hash; none while the store is away."""
    hashes = [item.correction.image_sha256 for item in shown]
    try:
        found = back.loop.corrections.images(hashes)
    except MedloopError as error:
        st.warning(f"The pictures cannot be shown at the moment. {error}", icon=":material/cloud_off:")
        return {}
    return {sha256: decode(png).pixels for sha256, png in zip(hashes, found, strict=True) if png}


@st.cache_resource(max_entries=4, show_spinner=False)
def _facts(snapshot_id: str, _back: Backend) -> SnapshotFacts:
    return snapshot_facts(_back.loop, snapshot_id)


@st.cache_resource(max_entries=4, show_spinner=False)
def _uses(version: str, home: str, _back: Backend) -> dict[tuple[str, str | None], str]:
    return uses(_back.loop, version)
