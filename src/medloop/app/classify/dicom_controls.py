"""Slices (DICOM, TIFF stacks), windows and technical tags (DICOM) of the current picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import streamlit as st

from medloop.app.kit.actions import limits
from medloop.app.kit.bars import facts
from medloop.app.kit.escape_markdown import plain
from medloop.app.kit.wording import class_name
from medloop.app.kit.workbench import UploadedPicture, Window, Workbench
from medloop.app.process.backend import Backend
from medloop.core.prediction.tag_conflicts import contradictions
from medloop.errors import DecodeError
from medloop.serving import Served

LARGEST: Final = "Largest face"  # the middle of the volume, cut across the slices
STORED: Final = "As stored"
AS_STORED: Final = "As the file says"
CT_WINDOWS: Final[
    Mapping[str, Window]
] = {  # centre and width in Hounsfield units, as radiology textbooks have them
    "Brain": (40, 80),
    "Soft tissue": (40, 400),
    "Liver": (60, 160),
    "Lung": (-600, 1500),
    "Bone": (480, 2500),
}


def dicom_controls(
    back: Backend, bench: Workbench, picture: UploadedPicture, served: Served
) -> None:
    """Show what only such files have; draw nothing for an ordinary picture."""
    _slice_and_window(back, bench, picture, served)
    if not picture.info.technical:
        return
    known = picture.prediction.label if picture.prediction.verdict != "unknown" else None
    for sentence in disagreements(picture.info.technical, known):
        st.warning(plain(sentence), icon=":material/compare_arrows:")
    with st.expander("Technical tags", icon=":material/list_alt:"):
        st.html(facts(picture.info.technical.items()))
        st.caption("Technical tags only. The patient's are neither shown nor kept.")


def _slice_and_window(
    back: Backend, bench: Workbench, picture: UploadedPicture, served: Served
) -> None:
    id_, presets = picture.source.id, windows(picture.info.technical)
    frame, window = picture.shown_frame, picture.window
    if picture.volume:
        faces = {LARGEST: None, STORED: picture.info.frame}
        default = LARGEST if picture.info.resliced else STORED
        frame = faces[
            st.segmented_control(
                "Plane", list(faces), default=default, key=f"plane-{id_}", required=True
            )
        ]
    if picture.info.frames > 1 and frame is not None:
        frame = (
            st.slider("Slice", 1, picture.info.frames, picture.info.frame + 1, key=f"slice-{id_}")
            - 1
        )
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


def windows(technical: Mapping[str, str]) -> dict[str, Window | None]:
    """List the window presets: those of CT for a CT, else only what the file says."""
    presets: dict[str, Window | None] = {AS_STORED: None}
    return presets | (dict(CT_WINDOWS) if technical.get("Modality") == "CT" else {})


def disagreements(technical: Mapping[str, str], label: str | None) -> list[str]:
    """Name the tags that contradict the class; None is no class, and nothing contradicts it."""
    if label is None:
        return []
    return [
        f"The file's tag {tag} says {said}, the picture looks like {class_name(label)}. "
        "One of them is wrong: please check."
        for tag, said in contradictions(technical, label).items()
    ]
