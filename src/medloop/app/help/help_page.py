"""Help: the loop in a picture, what the verdicts mean, limits, licence and versions."""

from __future__ import annotations

from importlib.metadata import version
from importlib.resources import files
from typing import Final

import streamlit as st

from medloop.app.kit.access import User
from medloop.app.kit.bars import facts
from medloop.app.kit.escape_markdown import plain
from medloop.app.kit.state import visitor
from medloop.app.kit.wording import class_name
from medloop.app.process.backend import backend
from medloop.errors import ModelError

CSS: Final = "div { overflow-x: auto; color: var(--st-text-color); font-family: var(--st-font); }"

PICTURE: Final = (files("medloop.app") / "loop.svg").read_text("utf-8")
_draw_loop = st.components.v2.component(
    "medloop.context",
    html=f'<div tabindex="0" role="group" aria-label="The loop">{PICTURE}</div>',
    css=CSS,
)


def page() -> None:
    """Draw the page."""
    texts, who = files("medloop.app"), visitor(backend())
    st.title("How medloop learns")
    _draw_loop(key="loop-picture")
    st.markdown((texts / "help.md").read_text("utf-8"))
    st.header("Versions")
    st.html(facts(_versions().items()))
    st.caption(_who(who))


def _who(who: User) -> str:
    if who.local:
        return (
            f"There is no login: everybody here may do everything, recorded as {plain(who.name)}."
        )
    return f"You are signed in as {plain(who.shown_as or who.name)}. Your role: {who.role}."


def _versions() -> dict[str, str]:
    found = {"medloop": version("medloop")}
    try:
        served = backend().champion.current()
    except ModelError:
        return {**found, "Model": "none yet"}
    labels = ", ".join(class_name(label) for label in served.predictor.metadata.labels)
    return {**found, "Model": f"version {served.version}", "Classes": labels}
