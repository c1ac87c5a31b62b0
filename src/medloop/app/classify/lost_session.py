"""Notices that a new session began under an open page: the server was restarted, or away for long.

The browser remembers, while the page is open, which session it was in and how many pictures were
there. The server cannot know. After loading the page again, everybody expects it empty.
"""

from __future__ import annotations

import secrets
from typing import Final

import streamlit as st

SESSION: Final = "session-id"
RESTARTED: Final = "restarted"

JS: Final = """
export default function ({ data, setTriggerValue }) {
  const before = window.medloopSession;
  window.medloopSession = data;
  if (before && before.id !== data.id && before.pictures > 0) setTriggerValue("restarted", true);
}
"""

_mount = st.components.v2.component("medloop.restarted", js=JS)


def watch(pictures: int) -> None:
    """Tell the browser how many pictures this session has; it draws nothing. See `restarted`."""
    session = st.session_state.setdefault(SESSION, secrets.token_hex(8))
    if pictures:
        st.session_state.pop(RESTARTED, None)
    _mount(
        key="restarted-watch",
        height=0,
        data={"id": session, "pictures": pictures},
        on_restarted_change=_note,
    )


def restarted() -> bool:
    """Tell whether pictures were lost that way, and none have come since."""
    return bool(st.session_state.get(RESTARTED))


def _note() -> None:
    st.session_state[RESTARTED] = True
