"""Confidence bars and short fact tables as HTML: one element where widgets would need twenty. Looks: style.css."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from medloop.app.kit.wording import class_name, percent


def bars(ranked: Sequence[tuple[str, float]]) -> str:
    """Calibrated probabilities, the likeliest first, as labelled bars; numbers are text, bars decoration."""
    rows = "".join(
        f'<div class="ml-row{" top" if place == 0 else ""}"><dt>{escape(class_name(label))}</dt>'
        f'<dd class="ml-track" aria-hidden="true"><span style="width:{min(max(p, 0), 1) * 100:.1f}%"></span></dd>'
        f"<dd>{percent(p)}</dd></div>"
        for place, (label, p) in enumerate(ranked)
    )
    return f'<dl class="ml-bars">{rows}</dl>'


def facts(values: Iterable[tuple[str, str]]) -> str:
    """Names and values as a plain two-column list."""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in values
    )
    return f'<table class="ml-facts">{rows}</table>'
