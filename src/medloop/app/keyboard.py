"""Keeps the Enter shortcut from answering when Enter was meant for the button, link or slider that has the focus.

Streamlit's shortcuts listen to the whole page: with the focus on the button "Hand", Enter would press "Right: Chest CT"
as well. A listener that comes before them lets Enter through to the focused element alone.
"""

from __future__ import annotations

from typing import Final

import streamlit as st

JS: Final = """
const CONTROLS = "button, a[href], summary, input, textarea, select, [role='slider'], [role='option'], [role='tab']";

function focused() {
  let element = document.activeElement;
  while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
  return element;
}

export default function () {
  if (window.medloopEnterGuard) return;
  window.medloopEnterGuard = true;
  window.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && focused()?.matches?.(CONTROLS)) event.stopImmediatePropagation();
  }, true);
}
"""

_mount = st.components.v2.component("medloop.keyboard", js=JS)


def guard_enter() -> None:
    """Install the guard in this page; it draws nothing."""
    _mount(key="keyboard", height=0)
