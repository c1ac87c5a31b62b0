"""Slices (DICOM, TIFF stacks), windows and technical tags (DICOM) of the picture being looked at. Widgets."""

from __future__ import annotations

from typing import Final

import streamlit as st

from medloop.app.classify.tags import disagreements, windows
from medloop.app.kit.actions import limits
from medloop.app.kit.bars import facts
from medloop.app.kit.escape_markdown import plain
from medloop.app.kit.workbench import UploadedPicture, Workbench
from medloop.app.process.backend import Backend
from medloop.errors import DecodeError
from medloop.serving import Served

LARGEST: Final = "Largest face"  # the middle of the volume, cut across the slices
STORED: Final = "As stored"


def dicom_controls(
    back: Backend, bench: Workbench, picture: UploadedPicture, served: Served
) -> None:
    """What only such files have; nothing for an ordinary picture."""
    _slice_and_window(back, bench, picture, served)
    if not picture.technical:
        return
    known = picture.prediction.label if picture.prediction.verdict != "unknown" else None
    for sentence in disagreements(picture.technical, known):
        st.warning(plain(sentence), icon=":material/compare_arrows:")
    with st.expander("Technical tags", icon=":material/list_alt:"):
        st.html(facts(picture.technical.items()))
        st.caption("Technical tags only. The patient's are neither shown nor kept.")


def _slice_and_window(
    back: Backend, bench: Workbench, picture: UploadedPicture, served: Served
) -> None:
    id_, presets = picture.source.id, windows(picture.technical)
    frame, window = picture.shown_frame, picture.window
    if picture.volume:
        faces = {LARGEST: None, STORED: picture.frame}
        default = LARGEST if picture.resliced else STORED
        frame = faces[
            st.segmented_control(
                "Plane", list(faces), default=default, key=f"plane-{id_}", required=True
            )
        ]
    if picture.frames > 1 and frame is not None:
        frame = st.slider("Slice", 1, picture.frames, picture.frame + 1, key=f"slice-{id_}") - 1
    if len(presets) > 1:
        chosen = st.segmented_control(
            "Window",
            list(presets),
            default=_name(presets, window),
            key=f"window-{id_}",
            required=True,
        )
        window = presets[chosen]
    if (frame, window) == (picture.shown_frame, picture.window):
        return
    try:
        bench.look(id_, served, limits=limits(back), frame=frame, window=window)
    except DecodeError as error:
        st.error(plain(str(error)), icon=":material/broken_image:")
        return
    st.rerun(scope="app")


def _name(
    presets: dict[str, tuple[float, float] | None], window: tuple[float, float] | None
) -> str:
    return next(name for name, value in presets.items() if value == window)
