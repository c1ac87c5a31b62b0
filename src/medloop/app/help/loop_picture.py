"""The loop as a picture: an SVG in the page itself, so that it takes the text's colour in light and dark."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

import streamlit as st

CSS: Final = "div { overflow-x: auto; color: var(--st-text-color); font-family: var(--st-font); }"

PICTURE: Final = (files("medloop.app") / "loop.svg").read_text("utf-8")
_mount = st.components.v2.component(
    "medloop.context",
    html=f'<div tabindex="0" role="group" aria-label="The loop">{PICTURE}</div>',
    css=CSS,
)


def loop_picture() -> None:
    """Draw it."""
    _mount(key="loop-picture")
