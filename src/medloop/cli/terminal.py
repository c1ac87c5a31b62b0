"""Text of people on a terminal."""

from __future__ import annotations


def plain(text: str) -> str:
    """The text, without anything that rich would take as markup or a terminal as a command."""
    from rich.markup import escape

    return escape("".join(letter if letter.isprintable() else " " for letter in text))
