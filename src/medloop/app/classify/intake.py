"""Takes pictures in: the file inputs, what came of them, and taking them away again.

A file input is emptied after each drop: the pictures live in the workbench, so that they outlast
the page on which they were dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import streamlit as st

from medloop.app.classify.uploads import MAX_PICTURES, unpack
from medloop.app.kit.escape_markdown import plain
from medloop.app.kit.state import session_id
from medloop.app.kit.wording import count_of
from medloop.app.kit.workbench import Workbench
from medloop.app.process import open_pages
from medloop.app.process.backend import Backend

DROPS: Final = "drops"  # number of drops so far: part of the inputs' keys
KINDS: Final = "Pictures: JPEG, PNG, BMP, TIFF, WebP, DICOM, or a zip of them"


def file_input(back: Backend, bench: Workbench, *, folded: bool) -> None:
    """Draw the input for files; folded it is a button onto which files can be dropped."""
    with st.container(key="uploads", width=104 if folded else "stretch"):
        _input(back, bench, "files", KINDS, folded=folded)


def folder_input(back: Backend, bench: Workbench) -> None:
    """Draw the input for a folder."""
    with st.container(key="folder"):
        _input(back, bench, "folder", "A folder with everything in it", folded=False)


def _input(back: Backend, bench: Workbench, name: str, label: str, *, folded: bool) -> None:
    key = f"{name}-{st.session_state.get(DROPS, 0)}"
    st.file_uploader(
        label,
        accept_multiple_files="directory" if name == "folder" else True,
        key=key,
        max_upload_size=back.settings.max_upload_mb,
        help=None if folded else _bound(back),
        label_visibility="collapsed" if folded else "visible",
        on_change=lambda: _take(back, bench, key),
    )


def _bound(back: Backend) -> str:
    return (
        f"Up to {back.settings.session_upload_mb} MB stay in memory while this page is open, also "
        "while you look at the other pages or load it again. DICOM files need no extension."
    )


def _take(back: Backend, bench: Workbench, key: str) -> None:
    files = st.session_state[key]
    found = unpack(
        files,
        max_bytes=back.settings.max_upload_mb * 2**20,
        room=MAX_PICTURES - len(bench.sources),
    )
    bench.sources += found.sources
    bench.problems += found.problems
    st.session_state[DROPS] = st.session_state.get(DROPS, 0) + 1
    _free({file.file_id for file in files}, bench)


def remove(bench: Workbench, ids: Iterable[str]) -> None:
    """Take pictures and unreadable files away from the page."""
    gone = set(ids)
    bench.sync([source for source in bench.sources if source.id not in gone])
    _free({_file_id(id_) for id_ in gone}, bench)


def removal(bench: Workbench) -> None:
    """Offer to take away the pictures that an answer would be for, or all of them."""
    ways: Mapping[str, Callable[[], Iterable[str]]] = {
        "Remove what is chosen, or looked at": bench.answered_next,
        "Start over without pictures": lambda: [source.id for source in bench.sources],
    }
    for key, (text, gone) in zip(("remove", "remove-all"), ways.items(), strict=True):
        st.button(
            text,
            key=key,
            icon=":material/delete:",
            on_click=lambda gone: remove(bench, gone()),
            args=(gone,),
        )


def _free(file_ids: set[str], bench: Workbench) -> None:
    """Forget the uploads from which no picture is left."""
    open_pages.free_uploads(session_id(), file_ids - {_file_id(s.id) for s in bench.sources})


def _file_id(source_id: str) -> str:
    """Give the upload's id: of a zip's picture, the zip's."""
    return source_id.partition("/")[0]


def held(back: Backend) -> str:
    """Say how much of the page's memory its uploads take."""
    megabytes = open_pages.held_bytes(session_id()) / 2**20
    return f"{megabytes:.0f} of {back.settings.session_upload_mb} MB. {_bound(back)}"


def unreadable(bench: Workbench) -> None:
    """Say in a line which files could not be read; several are a list behind it."""
    with st.container(key="unreadable"):
        problems = [f"{item.name}: {item.reason}" for item in bench.unreadable.values()]
        problems += bench.problems
        if not problems:
            return
        if len(problems) == 1:
            st.warning(plain(problems[0]), icon=":material/broken_image:")
            return
        with st.expander(
            f"{count_of(len(problems), 'file')} could not be read", icon=":material/broken_image:"
        ):
            st.markdown("\n".join(f"- {plain(problem)}" for problem in problems))
            st.button("Clear this list", key="forget", on_click=_forget, args=(bench,))


def _forget(bench: Workbench) -> None:
    bench.problems.clear()
    remove(bench, list(bench.unreadable))
