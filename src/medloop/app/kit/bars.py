"""Confidence bars and short fact tables as HTML, one element instead of twenty widgets. Looks: style.css."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from medloop.app.kit.escape_markdown import plain_html
from medloop.app.kit.wording import class_name, percent


def bars(ranked: Sequence[tuple[str, float]]) -> str:
    """Draw probabilities as labelled bars, in their order; numbers are text, bars decoration."""
    rows = "".join(
        f'<div class="ml-row{" top" if place == 0 else ""}"><dt>{plain_html(class_name(label))}</dt>'
        f'<dd class="ml-track" aria-hidden="true"><span style="width:{min(max(p, 0), 1) * 100:.1f}%"></span></dd>'
        f"<dd>{percent(p)}</dd></div>"
        for place, (label, p) in enumerate(ranked)
    )
    return f'<dl class="ml-bars">{rows}</dl>'


def facts(values: Iterable[tuple[str, str]]) -> str:
    """Draw names and values in two columns."""
    rows = "".join(
        f'<tr><th scope="row">{plain_html(name)}</th><td>{plain_html(value)}</td></tr>'
        for name, value in values
    )
    return f'<table class="ml-facts">{rows}</table>'
