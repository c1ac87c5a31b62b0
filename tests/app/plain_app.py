"""Hostile text in every kind of element that takes Markdown; `test_escape_markdown` looks at it in
a browser.
"""

from __future__ import annotations

import streamlit as st
from tests.hostile_names import HOSTILE

from medloop.app.kit.escape_markdown import plain


def show() -> None:
    """Draw all of it, and "Done" at the end."""
    for number, text in enumerate(map(plain, HOSTILE)):
        with st.container(key=f"text-{number}"):
            st.markdown(text)
        for draw in (st.caption, st.warning, st.subheader):
            draw(text)
        st.markdown(f"**{text}** · and more")
        st.success(f"Stored: {text} is Hand.", icon=":material/cloud_done:")
        st.button(text, key=f"button-{number}")
        st.metric(text, text)
        st.image(
            b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>".decode(), caption=text
        )
    st.title("Done")
