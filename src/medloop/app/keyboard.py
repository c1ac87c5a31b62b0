"""Keeps the Enter shortcut from answering when Enter was meant for the button or link that has the focus.

Streamlit's shortcuts listen to the whole page: with the focus on the button "Hand", Enter would press "Right: Chest CT"
as well. A listener that comes before them lets Enter through to the focused element alone, as long as its page is
open. Streamlit itself leaves fields in which people write alone.
"""

from __future__ import annotations

from typing import Final

import streamlit as st

JS: Final = """
const CONTROLS = "button, a[href], summary";
const mounted = new Set();

function focused() {
  let element = document.activeElement;
  while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
  return element;
}

function guard(event) {
  if (event.key === "Enter" && focused()?.matches?.(CONTROLS)) event.stopImmediatePropagation();
}

export default function ({ parentElement }) {
  mounted.add(parentElement);
  window.addEventListener("keydown", guard, true);
  return () => {
    mounted.delete(parentElement);
    if (mounted.size === 0) window.removeEventListener("keydown", guard, true);
  };
}
"""

_mount = st.components.v2.component("medloop.keyboard", js=JS)


def guard_enter() -> None:
    """Install the guard in this page; it draws nothing."""
    _mount(key="keyboard", height=0)
