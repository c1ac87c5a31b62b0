"""The thumbnails and the keys that answer: one component, since a widget each would be too many.

Thumbnails go to the browser once, apart from what changes with each answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

import streamlit as st

from medloop.app.kit import actions
from medloop.app.kit.access import User
from medloop.app.kit.wording import advice, class_name
from medloop.app.kit.workbench import Workbench
from medloop.app.process.backend import Backend

KEY: Final = "gallery"
SHORTCUT_CLASSES: Final = 9  # number keys 1 to 9
AT_ONCE: Final = 100  # thumbnails in one message; Streamlit sends the same message only once
THUMBNAILS_JS: Final = """
export default function ({ data }) {
  Object.assign((window.medloopThumbnails ??= {}), data);
  window.dispatchEvent(new Event("medloop-thumbnails"));
}
"""
MARKS: Final = {"unknown": "?", "unsure": "~", "confident": ""}

_folder = files("medloop.app.classify")
_mount = st.components.v2.component(
    "medloop.gallery",
    css=(_folder / "gallery.css").read_text("utf-8"),
    js=(_folder / "gallery.js").read_text("utf-8"),
)
_mount_thumbnails = st.components.v2.component("medloop.thumbnails", js=THUMBNAILS_JS)


def send_thumbnails(bench: Workbench) -> None:
    """Hand all thumbnails to the browser, by the hash of their picture; it draws nothing."""
    pictures = list(bench.pictures.values())
    for start in range(0, len(pictures), AT_ONCE):
        part = pictures[start : start + AT_ONCE]
        _mount_thumbnails(
            key=f"thumbnails-{start}", height=0, data={p.sha256: p.thumbnail for p in part}
        )


def gallery(bench: Workbench, *, may_answer: bool, on_events: Callable[[], None]) -> None:
    """Draw the pictures that the view asks for; `on_events` is called when there are `events`."""
    data = {
        "items": entries(bench),
        "current": bench.current_id,
        "chosen": sorted(bench.chosen),
        "heard": bench.heard,
        "wall": bench.view.wall,
        "may": may_answer,
        "classes": min(len(labels(bench)), SHORTCUT_CLASSES),
    }
    _mount(key=KEY, data=data, on_events_change=on_events)


def events() -> Sequence[Mapping[str, Any]]:
    """Give the newest events, oldest first; some may have been heard before."""
    return getattr(st.session_state.get(KEY), "events", None) or ()


def hear(back: Backend, bench: Workbench, told: Sequence[Mapping[str, Any]], *, user: User) -> None:
    """Do what a person did at the gallery, in that order, each event once.

    Raises:
        MedloopError: An answer was refused. The events behind it are dropped: they were meant for
            a page that went on.
    """
    new = [event for event in told if event["n"] > bench.heard]
    bench.heard = max((event["n"] for event in new), default=bench.heard)
    for event in new:
        ids = [id_ for id_ in event["ids"] if id_ in bench.pictures]
        if event["kind"] == "choose":
            bench.choose(ids)
        elif event["kind"] == "go" and ids:
            bench.choose(())
            bench.go(ids[0])
        elif event["kind"] == "answer":
            actions.answer_all(back, bench, meant(bench, ids, event["key"]), user=user)


def meant(bench: Workbench, ids: Sequence[str], key: str) -> dict[str, str | None]:
    """Give the label that a key means for each picture; Enter is the model's."""
    if key == "Enter":
        return {id_: bench.pictures[id_].prediction.label for id_ in ids}
    label = None if key == "0" else labels(bench)[int(key) - 1]
    return dict.fromkeys(ids, label)


def labels(bench: Workbench) -> list[str]:
    """List the classes in the model's order, as the number keys count them."""
    first = next(iter(bench.pictures.values()), None)
    return list(first.prediction.probabilities) if first else []


def entries(bench: Workbench) -> Sequence[dict[str, Any]]:
    """Describe each picture that the view asks for, in its order."""
    return [_entry(bench, id_) for id_ in bench.shown()]


def _entry(bench: Workbench, id_: str) -> dict[str, Any]:
    picture = bench.pictures[id_]
    answer, verdict = bench.answers.get(picture.sha256), picture.prediction.verdict
    said = class_name(picture.prediction.label)
    shown = bench.name_of(id_) if answer or verdict != "unknown" else "?"
    state = f"you said {shown}" if answer else "no answer from you yet"
    mark = MARKS[verdict]
    if answer:
        mark = "✓" if answer.state == "stored" else "…"
    return {
        "id": id_,
        "picture": picture.sha256,
        "mark": mark,
        "state": "answered" if answer else verdict,
        "label": shown,
        "description": f"{picture.source.name}: {said}, "
        f"{advice(picture.prediction).word.lower()}, {state}",
        "open": answer is None,
        "locked": not bench.may_be_stored(picture),
    }
