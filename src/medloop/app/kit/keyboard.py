"""Keeps shortcuts and focus out of each other's way, as long as the page is open.

Streamlit's shortcuts listen to the whole page: with the focus on the button "Hand", Enter would press
"Right: Chest CT" as well. A listener that comes before them lets Enter through to the focused
element only. Streamlit itself leaves fields alone, ticks among them: one that was ticked with the
mouse gives up the focus, so that keys answer again.
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

function release() {
  setTimeout(() => focused()?.matches?.("input[type=checkbox]") && focused().blur());
}

export default function ({ parentElement }) {
  mounted.add(parentElement);
  window.addEventListener("keydown", guard, true);
  window.addEventListener("pointerup", release);
  return () => {
    mounted.delete(parentElement);
    if (mounted.size > 0) return;
    window.removeEventListener("keydown", guard, true);
    window.removeEventListener("pointerup", release);
  };
}
"""

_mount = st.components.v2.component("medloop.keyboard", js=JS)


def guard_keys() -> None:
    """Install the listeners in this page; they draw nothing."""
    _mount(key="keyboard", height=0)
