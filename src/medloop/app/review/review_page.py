"""Review: what waits for a reviewer, why, and the decision. Keyboard first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import streamlit as st

from medloop.app.kit import actions
from medloop.app.kit.bars import facts
from medloop.app.kit.escape_markdown import plain
from medloop.app.kit.explain import most_alike
from medloop.app.kit.keyboard import guard_keys
from medloop.app.kit.pictures import preview_png
from medloop.app.kit.state import guarded, show_failure, user, visitor
from medloop.app.kit.wording import NONE_OF_THESE, class_name, count_of, name_classes
from medloop.app.process.backend import Backend, backend
from medloop.app.review.bulk_review import decide_several
from medloop.app.review.review_statements import list_statements
from medloop.core.corrections.correction_policy import Waiting
from medloop.errors import MedloopError
from medloop.jobs.review import Verdict, picture, queue

SHORTCUT_CLASSES = 9


def page() -> None:
    """Draw the page."""
    back = backend()
    st.title("Review")
    who = visitor(back)
    if not who.may("review"):
        st.info(f"You are a {who.role}. Reviewing needs the role reviewer.", icon=":material/lock:")
        return
    _desk(back)


@st.fragment(key="review")
def _desk(back: Backend) -> None:
    show_failure()
    busy = st.container(key="review-busy")
    try:
        with busy, st.spinner("Looking for what waits …"):
            waiting = queue(back.context, who=visitor(back).name)
    except MedloopError as error:
        st.error(plain(f"The queue cannot be read. {error}"), icon=":material/cloud_off:")
        return
    if not waiting:
        st.success("Nothing waits for a review.", icon=":material/done_all:")
        return
    conflicts = sum(item.conflict for item in waiting)
    st.markdown(
        f"**{count_of(len(waiting), 'picture')}** {'waits' if len(waiting) == 1 else 'wait'}"
        + (f", {conflicts} because people disagree" if conflicts else "")
    )
    place = min(st.session_state.get("review-place", 0), len(waiting) - 1)
    guard_keys()
    _item(back, waiting, place)
    decide_several(back, waiting)


def _item(back: Backend, waiting: Sequence[Waiting], place: int) -> None:
    item = waiting[place]
    left, right = st.columns([5, 6], gap="medium")
    # The buttons first: nobody who sees the next picture may press a button of the one before.
    st.session_state["review-shown"] = item.image_sha256
    with right, st.container(key="review-decision"):
        st.header("People disagree" if item.conflict else "Is this right?", anchor=False)
        for reason in item.decision.reasons:
            st.markdown(f":material/flag: {plain(name_classes(reason, back.labels()))}")
        _answers(back, item)
        why = st.text_input("Remark (optional)", key=f"why-{item.image_sha256}")
        _decisions(back, item, why)
    with left, st.container(key="review-picture"):
        pixels = _picture(back, item)
        with st.container(horizontal=True):
            for text, shortcut, to in (
                ("Previous", "Left", place - 1),
                ("Next", "Right", place + 1),
            ):
                key = f"review-{text.lower()}"
                st.button(
                    text, key=key, shortcut=shortcut, type="tertiary", on_click=_go, args=(to,)
                )
            st.caption(f"{place + 1} of {len(waiting)}")
        with st.container(key="review-alike"):
            if pixels is not None:
                _alike(back, pixels)


def _picture(back: Backend, item: Waiting) -> np.ndarray | None:
    try:
        pixels = picture(back.context, item)
    except MedloopError as error:
        st.warning(plain(f"The picture cannot be shown. {error}"), icon=":material/hide_image:")
        return None
    st.image(preview_png(pixels), width="stretch", alt="The picture that waits for a review")
    return pixels


def _alike(back: Backend, pixels: np.ndarray) -> None:
    try:
        served = back.champion.current()
        seen = served.answer(pixels)
        most_alike(back, served, small=seen.small, embedding=seen.prediction.embedding)
    except MedloopError as error:
        st.caption(plain(f"Pictures like this one cannot be shown. {error}"))


def _answers(back: Backend, item: Waiting) -> None:
    """Show what people and the model said, side by side."""
    counts = Counter(class_name(label) for _, label in item.decision.state.answers)
    for column, (name, votes) in zip(
        st.columns(max(len(counts), 1)), counts.most_common(), strict=False
    ):
        column.metric(plain(name), count_of(votes, "vote") if votes else "", border=True)
    st.html(
        facts(
            list_statements(
                item.corrections, now=back.context.now(), names=back.settings.identity == "plain"
            )
        )
    )


def _decisions(back: Backend, item: Waiting, why: str) -> None:
    sha256 = item.image_sha256

    def button(
        text: str,
        key: str,
        verdict: Verdict,
        shortcut: str | None,
        *,
        label: str | None = None,
        primary: bool = False,
    ) -> None:
        st.button(
            plain(text),
            key=f"{key}-{sha256}",
            shortcut=shortcut,
            type="primary" if primary else "secondary",
            on_click=guarded(lambda: _decide(back, item, verdict, label=label, why=why)),
        )

    with st.container(horizontal=True, key="review-main"):
        if not item.conflict:
            agreed = class_name(item.decision.state.label)
            button(f"Right: {agreed}", "review-approve", "approve", "Enter", primary=True)
        button("Leave it out", "review-reject", "reject", "X")
    st.caption("Or it is:")
    with st.container(horizontal=True, key="review-classes"):
        for place, label in enumerate(back.labels(), start=1):
            shortcut = str(place) if place <= SHORTCUT_CLASSES else None
            button(class_name(label), f"review-class-{label}", "relabel", shortcut, label=label)
        button(NONE_OF_THESE, "review-none", "relabel", "0")


def _decide(back: Backend, item: Waiting, verdict: Verdict, *, label: str | None, why: str) -> None:
    if (
        st.session_state.get("review-shown") == item.image_sha256
    ):  # else a late click on one that is decided already
        actions.decide(back, [item], verdict, user=user(back), label=label, why=why)


def _go(place: int) -> None:
    st.session_state["review-place"] = max(place, 0)
