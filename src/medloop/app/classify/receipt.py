"""The receipt: what became of the newest answer, beside its own picture, with the way back."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from medloop.app.kit import actions
from medloop.app.kit.escape_markdown import plain
from medloop.app.kit.state import guarded, show_failure, user
from medloop.app.kit.wording import class_name, count_of
from medloop.app.kit.workbench import GivenAnswer, Workbench
from medloop.app.process.backend import Backend


def receipt(back: Backend, bench: Workbench) -> None:
    """Draw it, or what the last click could not do."""
    with st.container(key="receipt"):
        show_failure()
        if not (last := bench.last()):
            return
        with st.container(
            horizontal=True, vertical_alignment="center", gap="small", key="receipt-row"
        ):
            if picture := bench.file_of(last[0]):
                st.html(f'<img class="ml-small" src="{picture.thumbnail}" alt="">', width="content")
            _stored(back, bench, _said(bench, last))
            st.button(
                f"Undo all {len(last)}" if len(last) > 1 else "Undo",
                key="undo",
                type="tertiary",
                icon=":material/undo:",
                shortcut="Z",
                on_click=guarded(lambda: actions.undo(back, bench, user=user(back))),
            )


def _said(bench: Workbench, last: Sequence[GivenAnswer]) -> str:
    """Say what was answered: confirmed is what the model had said."""
    if len(last) == 1:
        file = bench.file_of(last[0])
        name = file.source.name if file else "The picture"
        return f"{name} is {class_name(last[0].label)}."
    names = {class_name(answer.label) for answer in last}
    confirmed = all(
        (picture := bench.file_of(answer)) and picture.prediction.label == answer.label
        for answer in last
    )
    if confirmed:
        return f"{count_of(len(last), 'picture')} confirmed."
    return f"{count_of(len(last), 'picture')} answered as {', '.join(sorted(names))}."


def _stored(back: Backend, bench: Workbench, said: str) -> None:
    """Say "stored" only once it is; look again until everything is."""

    def draw() -> None:
        waiting = bench.pending()
        if waiting and not actions.refresh(back, bench):
            st.rerun(scope="app")
        if all(answer.state == "stored" for answer in bench.last()):
            st.markdown(f":green[:material/cloud_done:] {plain(f'Stored: {said}')}")
        else:
            st.markdown(
                ":orange[:material/save:] "
                + plain(f"Saved here: {said} Sent as soon as the store answers, {waiting} waiting.")
            )

    st.fragment(draw, run_every=1.0 if bench.pending() else None)()
