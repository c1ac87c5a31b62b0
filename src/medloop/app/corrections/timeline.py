"""The stations of a correction as an HTML list. Looks: style.css."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from medloop.app.corrections.journey import Station

SAYS = {
    "done": "done",
    "now": "in progress",
    "ahead": "still to come",
    "stopped": "ended here",
}  # for screen readers


def timeline(way: Sequence[Station]) -> str:
    """An ordered list; the state of each station is told by its mark and, for screen readers, in words."""
    items = "".join(
        f'<li class="{step.state}">{escape(step.text)}<span class="ml-sr"> ({SAYS[step.state]})</span></li>'
        for step in way
    )
    return f'<ol class="ml-way">{items}</ol>'
