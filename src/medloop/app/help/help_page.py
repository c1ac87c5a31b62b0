"""Help: the loop in a picture, what the verdicts mean, limits, licence and versions."""

from __future__ import annotations

from importlib.metadata import version
from importlib.resources import files

import streamlit as st

from medloop.app.help.loop_picture import loop_picture
from medloop.app.kit.access import User
from medloop.app.kit.bars import facts
from medloop.app.kit.escape_markdown import plain
from medloop.app.kit.state import visitor
from medloop.app.kit.wording import class_name
from medloop.app.process.backend import backend
from medloop.errors import ModelError


def page() -> None:
    """The whole page."""
    texts, who = files("medloop.app"), visitor(backend())
    st.title("How medloop learns")
    loop_picture()
    st.markdown((texts / "help.md").read_text("utf-8"))
    st.header("Versions")
    st.html(facts(_versions().items()))
    st.caption(_who(who))


def _who(who: User) -> str:
    if who.local:
        return f"There is no login here: whoever uses this page has every right, and is on record as {plain(who.name)}."
    return f"You are signed in as {plain(who.shown_as or who.name)}. Your role: {who.role}."


def _versions() -> dict[str, str]:
    found = {"medloop": version("medloop")}
    try:
        served = backend().champion.current()
    except ModelError:
        return {**found, "Model": "none yet"}
    labels = ", ".join(class_name(label) for label in served.predictor.metadata.labels)
    return {**found, "Model": f"version {served.version}", "Classes": labels}
