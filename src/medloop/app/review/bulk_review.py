"""Several pictures of the review queue decided with one click. Costs nothing until opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

import streamlit as st

from medloop.app.kit import actions
from medloop.app.kit.escape_markdown import plain
from medloop.app.kit.pictures import preview_png
from medloop.app.kit.state import guarded, user, visitor
from medloop.app.kit.wording import NONE_OF_THESE, class_name, name_classes
from medloop.app.process.backend import Backend
from medloop.core.corrections.correction_policy import Waiting
from medloop.errors import MedloopError
from medloop.jobs.context import Context
from medloop.jobs.review import Verdict, is_own, picture

MAX_PICTURES: Final = 24  # pictures at once
SIDE: Final = 128  # pixels of a picture
FORGET_S: Final = 600  # how long this process keeps pictures of the queue
WHY: Final = "several-why"


def decide_several(back: Backend, waiting: Sequence[Waiting]) -> None:
    """Offer thumbnails to tick, and decisions; draw nothing for fewer than two."""
    items = offered(back.context, waiting, who=visitor(back).name)
    if len(items) < 2:
        return
    box = st.expander(
        "Several at once", icon=":material/checklist:", key="several", on_change="rerun"
    )
    if not box.open:
        return
    # A form: ticking asks the server for nothing.
    with box, st.form("several-form", border=False, enter_to_submit=False):
        with st.container(horizontal=True, key="several-pictures"):
            shown = [
                item for place, item in enumerate(items, start=1) if _choice(back, item, place)
            ]
        _button("Tick all", "tick", lambda: _tick(shown))
        st.text_input("Remark on all that are ticked (optional)", key=WHY)
        _decisions(back, shown)


def offered(context: Context, waiting: Sequence[Waiting], *, who: str) -> list[Waiting]:
    """List the first that can be decided at a glance: undisputed, and not this person's own."""
    clear = (
        item
        for item in waiting
        if not (item.conflict or item.disputed or is_own(context, item, who=who))
    )
    return list(islice(clear, MAX_PICTURES))


def claim(item: Waiting) -> str:
    """Say what people said of it, and what the model did if that differs."""
    said, predicted = item.decision.state.label, item.corrections[-1].predicted_label
    other = f", the model: {class_name(predicted)}" if predicted not in (None, said) else ""
    return class_name(said) + other


def _choice(back: Backend, item: Waiting, place: int) -> bool:
    """Offer one; return False if it cannot be shown, since nobody should decide about that."""
    with st.container(width=SIDE + 20):
        try:
            png = _thumbnail(item.image_sha256, back.context, item)
        except MedloopError:
            st.caption(f"Picture {place} cannot be shown.")
            return False
        st.image(png, width=SIDE, alt=f"Picture {place}")
        st.checkbox(plain(f"{place}: {claim(item)}"), key=_key(item))
        st.caption(plain(name_classes("; ".join(item.decision.reasons), back.labels())))
    return True


def _decisions(back: Backend, items: Sequence[Waiting]) -> None:
    def button(text: str, name: str, verdict: Verdict, label: str | None = None) -> None:
        _button(text, name, lambda: _decide(back, items, verdict, label))

    with st.container(horizontal=True):
        button("Right", "approve", "approve")
        button("Leave them out", "reject", "reject")
    st.caption("Or each of them is:")
    with st.container(horizontal=True):
        for label in back.labels():
            button(class_name(label), f"class-{label}", "relabel", label)
        button(NONE_OF_THESE, "none", "relabel")


def _button(text: str, name: str, act: Callable[[], None]) -> None:
    st.form_submit_button(plain(text), key=f"several-{name}", on_click=guarded(act))


def _tick(items: Sequence[Waiting]) -> None:
    for item in items:
        st.session_state[_key(item)] = True


def _decide(back: Backend, items: Sequence[Waiting], verdict: Verdict, label: str | None) -> None:
    ticked = [item for item in items if st.session_state.get(_key(item))]
    actions.decide(
        back, ticked, verdict, user=user(back), label=label, why=st.session_state.get(WHY, "")
    )
    st.session_state[WHY] = ""


def _key(item: Waiting) -> str:
    return f"several-{item.image_sha256}"


@st.cache_data(max_entries=4 * MAX_PICTURES, ttl=FORGET_S, show_spinner=False)
def _thumbnail(image_sha256: str, _context: Context, _item: Waiting) -> bytes:
    return preview_png(picture(_context, _item), side=SIDE)
