"""The row over the pictures: how many there are of each kind, filters, choosing, and downloads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import streamlit as st

from medloop.app.classify.downloads import KINDS
from medloop.app.classify.gallery import labels
from medloop.app.kit.state import session_id
from medloop.app.kit.wording import class_name, count_of
from medloop.app.kit.workbench import Sorting, View, Workbench
from medloop.app.process.open_pages import held_bytes

ALL: Final = "all"
SHOWN: Final = ("unknown", "unsure", "confident", "answered")
SORTINGS: Final[Mapping[Sorting, str]] = {
    "need": "What needs you first",
    "name": "File name",
    "class": "Class",
    "confidence": "Least sure first",
}
LAYOUTS: Final[Mapping[str, str]] = {"strip": "view_carousel", "wall": "grid_view"}
NAMES: Final[Mapping[str, str]] = {"zip": "Files by answer (zip, up to 100 MB)"}
MAX_ZIP_BYTES: Final = 100 * 2**20  # of uploads: the zip is made in memory
Kind = tuple[str | None, str | None]  # verdict and class, None for any


def toolbar(bench: Workbench, *, may_answer: bool) -> None:
    """Draw the row; what it asks for is in the bench's view."""
    with st.container(horizontal=True, vertical_alignment="center", key="toolbar"):
        _summary(bench)
        with st.container(
            horizontal=True, vertical_alignment="center", width="content", key="tools"
        ):
            _filters(bench)
            if may_answer:
                _choose(bench)
            _downloads(bench)
            _layout(bench)


def _look(bench: Workbench) -> None:
    """Show what the widgets ask for, before anything is drawn."""
    asked = st.session_state
    bench.look_for(
        View(
            verdict=None if asked["show"] == ALL else asked["show"],
            open_only=asked["open-only"],
            said=asked["filter-class"],
            name=asked["filter-name"],
            sorting=asked["sorting"],
            wall=asked["layout"] == "wall",
        )
    )


def _summary(bench: Workbench) -> None:
    """Count the pictures of each kind; a click on a kind shows it alone."""
    counts = bench.counts()
    words = {name: f"{counts[name]} {name}" for name in SHOWN}
    words[ALL] = count_of(len(bench.pictures), "picture")
    with st.container(key="summary", width="content"):
        st.pills(
            "Show",
            [ALL, *SHOWN],
            default=bench.view.verdict or ALL,
            required=True,
            format_func=words.__getitem__,
            key="show",
            label_visibility="collapsed",
            on_change=_look,
            args=(bench,),
        )


def _filters(bench: Workbench) -> None:
    view = bench.view
    names = sorted({bench.name_of(id_) for id_ in bench.order} | {view.said} - {""})
    active = sum((view.open_only, bool(view.name), bool(view.said), view.sorting != "need"))
    change: dict[str, Any] = {"on_change": _look, "args": (bench,)}
    label = f"Filter ({active})" if active else "Filter"
    with st.popover(label, icon=":material/tune:", key="filters"):
        st.toggle("Hide what is answered", value=view.open_only, key="open-only", **change)
        st.text_input("Part of the file name", value=view.name, key="filter-name", **change)
        st.selectbox(
            "Class",
            ["", *names],
            index=1 + names.index(view.said) if view.said else 0,
            format_func=lambda name: name or "all",
            key="filter-class",
            **change,
        )
        st.selectbox(
            "Order",
            list(SORTINGS),
            index=list(SORTINGS).index(view.sorting),
            format_func=SORTINGS.__getitem__,
            key="sorting",
            **change,
        )


def _choose(bench: Workbench) -> None:
    """Offer to choose all of a kind at once."""
    kinds: list[Kind] = [(None, None), *((verdict, None) for verdict in SHOWN[:3])]
    kinds += [(None, label) for label in labels(bench)]
    found = {kind: ids for kind in kinds if (ids := bench.open_with(*kind))}
    st.menu_button(
        "Choose",
        list(found) or kinds[:1],  # the button needs one
        format_func=lambda kind: f"{_words(kind)} ({len(found.get(kind, ()))})",
        key="choose",
        icon=":material/checklist:",
        disabled=not found,
        on_click=lambda: bench.choose(found[st.session_state["choose"]]),
    )


def _words(kind: Kind) -> str:
    verdict, label = kind
    return f"All {class_name(label) if label else verdict or 'open'}"


def _downloads(bench: Workbench) -> None:
    with st.popover("Export", icon=":material/download:", key="export"):
        st.caption("With your answers, when you gave them, and the version that answered.")
        for kind, make in KINDS.items():
            st.download_button(
                NAMES.get(kind, kind.upper()),
                lambda make=make: make(bench),  # type: ignore[misc]  # when it is asked for
                file_name=f"medloop.{kind}",
                key=f"download-{kind}",
                width="stretch",
                on_click="ignore",
                disabled=kind == "zip" and held_bytes(session_id()) > MAX_ZIP_BYTES,
            )


def _layout(bench: Workbench) -> None:
    st.segmented_control(
        "Layout",
        list(LAYOUTS),
        default="wall" if bench.view.wall else "strip",
        required=True,
        format_func=lambda name: f":material/{LAYOUTS[name]}:",
        key="layout",
        label_visibility="collapsed",
        on_change=_look,
        args=(bench,),
    )
