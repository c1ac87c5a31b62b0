"""Brings a page's pictures back after a reload, or says that they are gone.

The browser tab remembers the token of its pictures, and shows it to the new session. A copy of the
tab shows it, too, and gets nothing while the first is open.
"""

from __future__ import annotations

from typing import Final

import streamlit as st

from medloop.app.kit.access import User
from medloop.app.kit.state import WORKBENCH, session_id, workbench
from medloop.app.kit.workbench import Workbench
from medloop.app.process import open_pages

ASKED: Final = "token-asked-for"
GONE: Final = "pictures-gone"
JS: Final = """
const NAME = "medloop-pictures";

export default function ({ data, setTriggerValue }) {
  const before = JSON.parse(sessionStorage.getItem(NAME) ?? "{}");
  if (before.pictures > 0 && before.token !== data.token && before.token !== data.asked) {
    setTriggerValue("token", before.token);
  } else {
    sessionStorage.setItem(NAME, JSON.stringify({ token: data.token, pictures: data.pictures }));
  }
}
"""

_mount = st.components.v2.component("medloop.same_page", js=JS)


def remember(bench: Workbench, *, user: User) -> None:
    """Have the browser tab remember this page's pictures; it draws nothing."""
    bench.session_id, bench.owner = session_id(), user.name
    open_pages.keep(bench.token, bench)
    if bench.sources:
        st.session_state.pop(GONE, None)
    asked = st.session_state.get(ASKED)
    _mount(
        key="same-page",
        height=0,
        data={"token": bench.token, "pictures": len(bench.sources), "asked": asked},
        on_token_change=lambda: _return(user),
    )


def are_gone() -> bool:
    """Tell whether pictures were lost, and none have come since."""
    return bool(st.session_state.get(GONE))


def _return(user: User) -> None:
    """Take over the pictures of the same person's former session, if nobody looks at them."""
    token = str(getattr(st.session_state.get("same-page"), "token", None) or "")
    st.session_state[ASKED] = token
    found = open_pages.find(token)
    if not isinstance(found, Workbench) or found.owner != user.name:
        st.session_state[GONE] = True
    elif not workbench().sources and open_pages.is_left(found.session_id):
        open_pages.move_uploads(found.session_id, session_id())
        st.session_state[WORKBENCH] = found
