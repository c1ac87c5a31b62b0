"""The answer "none of these classes" in each of its forms; where labels are optional it is None."""

from __future__ import annotations

from typing import Final

TEXT: Final = "none of these"  # in a sentence
WORD: Final = "none"  # on the command line, and as the name of a class folder
CLASS: Final = ""  # among class names in an array of str
TARGET: Final = -1  # among indices of classes


def describe(label: str | None) -> str:
    """Name a label in a sentence."""
    return TEXT if label is None else label


def parse(word: str) -> str | None:
    """Read a label as people type it."""
    return None if word == WORD else word
