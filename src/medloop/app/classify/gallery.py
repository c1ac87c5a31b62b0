"""The strip of thumbnails: one component, since a hundred widgets would be a thousand elements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import streamlit as st

from medloop.app.kit.wording import advice, class_name
from medloop.app.kit.workbench import Workbench

KEY: Final = "gallery"

CSS: Final = """
ul { list-style: none; margin: 0; padding: 3px; display: flex; flex-wrap: wrap; gap: 6px; max-height: 15.5rem;
  overflow-y: auto; }
button { position: relative; width: 76px; padding: 0; border: 2px solid var(--st-border-color); border-radius: 8px;
  background: var(--st-secondary-background-color); color: var(--st-text-color); cursor: pointer; overflow: hidden;
  font: inherit; }
button[aria-current="true"] { border-color: var(--st-primary-color); box-shadow: 0 0 0 1px var(--st-primary-color); }
button:focus-visible { outline: 3px solid var(--st-primary-color); outline-offset: 1px; }
img { display: block; width: 72px; height: 72px; object-fit: contain; background: #000; }
.mark { position: absolute; top: 3px; right: 3px; min-width: 20px; height: 20px; border-radius: 10px; font-size: 13px;
  line-height: 20px; font-weight: 700; text-align: center; background: #10171a; color: #fff; padding: 0 3px;
  box-sizing: border-box; box-shadow: 0 0 0 1.5px #fff; }
.unknown { background: #7a3fb8; } .unsure { background: #a34a00; } .answered { background: #0a6b4a; }
.label { display: block; font-size: 11px; line-height: 1.25; padding: 2px 3px; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; }
"""

JS: Final = """
export default function ({ parentElement, data, setTriggerValue }) {
  const list = parentElement.querySelector("ul") ?? parentElement.appendChild(document.createElement("ul"));
  list.setAttribute("aria-label", "Pictures, the ones that need you first");
  const items = data?.items ?? [];
  while (list.children.length > items.length) list.lastChild.remove();
  items.forEach((item, place) => {
    let row = list.children[place];
    if (!row) {
      row = document.createElement("li");
      row.innerHTML = '<button type="button"><img alt=""><span class="mark" aria-hidden="true"></span>' +
        '<span class="label" aria-hidden="true"></span></button>';
      list.appendChild(row);
    }
    const button = row.firstChild;
    const [image, mark, label] = button.children;
    if (image.getAttribute("src") !== item.thumbnail) image.setAttribute("src", item.thumbnail);
    mark.textContent = item.mark;
    mark.className = "mark " + item.state;
    mark.style.display = item.mark ? "" : "none";
    label.textContent = item.label;
    button.setAttribute("aria-label", item.description);
    button.title = item.description;
    const was = button.getAttribute("aria-current");
    button.setAttribute("aria-current", String(item.current));
    if (item.current && was !== "true") {
      list.scrollTo({ top: row.offsetTop - list.offsetTop - 90, behavior: "auto" });
    }
    button.onclick = (event) => {
      setTriggerValue("picked", item.id);
      if (event.detail) button.blur(); // chosen with the mouse: Enter is for the answer again
    };
  });
}
"""

MARKS: Final = {"unknown": "?", "unsure": "~", "confident": ""}
_mount = st.components.v2.component("medloop.gallery", css=CSS, js=JS)


def gallery(bench: Workbench, *, on_pick: Callable[[], None]) -> None:
    """Draw the strip; `on_pick` is called when a picture is chosen, see `picked`."""
    _mount(key=KEY, data={"items": entries(bench)}, on_picked_change=on_pick)


def picked() -> str | None:
    """Give the source id that was chosen just now."""
    return getattr(st.session_state.get(KEY), "picked", None)


def entries(bench: Workbench) -> Sequence[dict[str, Any]]:
    """Describe each picture, in the bench's order."""
    return [_entry(bench, id_) for id_ in bench.order]


def _entry(bench: Workbench, id_: str) -> dict[str, Any]:
    picture = bench.pictures[id_]
    answer = bench.answers.get(picture.sha256)
    said = class_name(picture.prediction.label)
    shown = (
        class_name(answer.label)
        if answer
        else ("?" if picture.prediction.verdict == "unknown" else said)
    )
    state = f"you said {shown}" if answer else "no answer from you yet"
    return {
        "id": id_,
        "thumbnail": picture.thumbnail,
        "mark": ("✓" if answer.state == "stored" else "…")
        if answer
        else MARKS[picture.prediction.verdict],
        "state": "answered" if answer else picture.prediction.verdict,
        "label": shown,
        "description": f"{picture.source.name}: {said}, {advice(picture.prediction).word.lower()}, {state}",
        "current": id_ == bench.current_id,
    }
