"""Hostile text in every kind of element that takes Markdown; `test_escape_markdown` looks at it in a browser."""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.hostile_names import HOSTILE

from medloop.app.kit.escape_markdown import plain

for number, text in enumerate(map(plain, HOSTILE)):
    with st.container(key=f"text-{number}"):
        st.markdown(text)
    for show in (st.caption, st.warning, st.subheader):
        show(text)
    st.markdown(f"**{text}** · and more")
    st.success(f"Stored: {text} is Hand.", icon=":material/cloud_done:")
    st.button(text, key=f"button-{number}")
    st.metric(text, text)
    st.image(
        b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>".decode(), caption=text
    )
st.title("Done")
