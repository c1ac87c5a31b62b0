"""My corrections: what became of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from medloop.app.corrections.corrections_view import StoreFacts, ask_stores
from medloop.app.corrections.journey import (
    Said,
    describe_prediction,
    label_of,
    last_said,
    may_withdraw,
    steps,
    timeline,
)
from medloop.app.kit import actions
from medloop.app.kit.escape_markdown import plain
from medloop.app.kit.pictures import preview_png
from medloop.app.kit.state import guarded, show_failure, user, visitor
from medloop.app.kit.wording import ago, class_name, count_of
from medloop.app.process.backend import Backend, backend
from medloop.core.imaging.decode import decode
from medloop.errors import MedloopError

PAGE_SIZE = 10
HISTORY = 1_000  # newest events that are looked at


def page() -> None:
    """Draw the page."""
    back = backend()
    st.title("My corrections")
    show_failure()
    said = last_said(
        back.context.outbox.history(back.context.identify(visitor(back).name), HISTORY)
    )
    if not said:
        st.info(
            "You have not corrected or confirmed anything on this machine yet.",
            icon=":material/inbox:",
        )
        return
    waiting = sum(item.state == "pending" for item in said)
    st.markdown(
        f"**{count_of(len(said), 'picture')}**"
        + (f", {waiting} not stored yet" if waiting else ", all stored")
    )
    pages = -(-len(said) // PAGE_SIZE)
    number = st.pagination(pages, key="corrections-page") if pages > 1 else 1
    shown = said[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    with st.container(key="corrections-state"), st.spinner("Looking up what became of them …"):
        facts, pictures = _ask(back, shown)
    for item in shown:
        _row(back, item, pictures.get(item.correction.image_sha256), facts)


def _row(back: Backend, said: Said, pixels: np.ndarray | None, known: StoreFacts) -> None:
    correction = said.correction
    decision = (known.decisions or {}).get(correction.image_sha256)
    in_snapshot = known.in_snapshot(correction)
    prediction = (
        known.served.answer(pixels).prediction if known.served and pixels is not None else None
    )
    way = steps(
        said,
        decision=decision,
        snapshot=known.snapshot.snapshot_id if known.snapshot and in_snapshot else None,
        learned=known.learned(correction, label_of(correction, decision), prediction),
        asked=known.decisions is not None and in_snapshot is not None,
    )
    with st.container(border=True, key=f"correction-{correction.id}"):
        left, right = st.columns([1, 6], wrap=False)
        if pixels is not None:
            alt = f"The picture that you called {class_name(correction.given_label)}"
            left.image(preview_png(pixels, side=176), width=88, alt=alt)
        else:
            left.markdown(
                ":material/hide_image:", help="The picture is not in the store yet, or was erased."
            )
        with right:
            st.markdown(
                f"**{plain(class_name(correction.given_label))}** · "
                f"{ago(correction.at, back.context.now())}"
            )
            st.caption(plain(describe_prediction(correction)))
            st.html(timeline(way))
            if may_withdraw(said, in_snapshot=in_snapshot):
                st.button(
                    "Take back",
                    key=f"withdraw-{correction.id}",
                    icon=":material/undo:",
                    on_click=guarded(
                        lambda: actions.withdraw(
                            back, image_sha256=correction.image_sha256, user=user(back)
                        )
                    ),
                )


def _ask(back: Backend, shown: Sequence[Said]) -> tuple[StoreFacts, dict[str, np.ndarray]]:
    """Ask the stores and the pictures; say once what does not answer."""
    found = ask_stores(back)
    try:
        pictures = _pictures(back, shown)
    except MedloopError as error:
        pictures = {}
        st.warning(
            plain(f"The pictures cannot be shown at the moment. {error}"),
            icon=":material/hide_image:",
        )
    if found.problems:
        said = plain(f"Not everything is known at the moment. {' '.join(found.problems)}")
        st.warning(said, icon=":material/cloud_off:")
    return found, pictures


def _pictures(back: Backend, shown: Sequence[Said]) -> dict[str, np.ndarray]:
    """Read the pixels of what is stored, by image hash."""
    hashes = [item.correction.image_sha256 for item in shown]
    found = back.context.corrections.images(hashes)
    return {sha256: decode(png).pixels for sha256, png in zip(hashes, found, strict=True) if png}
