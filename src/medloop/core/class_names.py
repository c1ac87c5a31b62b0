"""Class names as people say and type them, and what no class may be called."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final

from medloop.core import none_of_these
from medloop.core.printable import printable
from medloop.core.spelling import with_closest
from medloop.errors import UnknownClassError

NONE_OF_THESE: Final = none_of_these.TEXT.capitalize()
SPELLED_OUT: Final[Mapping[str, str]] = {"CXR": "Chest X-ray"}  # what not everybody reads
WORD_STARTS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_")
LONGEST: Final = 200
# Controls, marks that turn text around or show nothing, ends of lines and paragraphs.
UNSEEN: Final = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))


def check_class_name(name: str) -> str:
    """Return `name` if people can read, type and tell it from "none of these".

    Raises:
        ValueError: They can't; the message says why.
    """
    if not 0 < len(name) <= LONGEST:
        raise ValueError(f"a class name has 1 to {LONGEST} characters")
    if name != name.strip() or any(unicodedata.category(char) in UNSEEN for char in name):
        raise ValueError(f"the class name {name!a} holds characters that nobody sees")
    if name.casefold() in (none_of_these.WORD, none_of_these.TEXT):
        raise ValueError(f"{name!r} is the answer for images of no class, and no class name")
    return name


def class_name(label: str | None) -> str:
    """Write a label as people do: "AbdomenCT" becomes "Abdomen CT", None "None of these"."""
    if label is None:
        return NONE_OF_THESE
    return SPELLED_OUT.get(label, printable(WORD_STARTS.sub(" ", label).strip()))


def find_class(said: str, labels: Sequence[str]) -> str | None:
    """Return the label that is meant: as it is spelt, or as people write it; None for none.

    Case, spaces and hyphens do not matter if one class alone fits.

    Raises:
        UnknownClassError: No class is called that; the message lists them.
    """
    if said in labels or said == none_of_these.WORD:
        return none_of_these.parse(said)
    names: dict[str, set[str | None]] = {}
    for label in (*labels, None):
        for name in (label or none_of_these.WORD, class_name(label)):
            names.setdefault(_letters(name), set()).add(label)
    found = names.get(_letters(said), set())
    if len(found) != 1 or not said.strip():
        known = ", ".join(labels)
        raise UnknownClassError(
            f"There is no class {with_closest(said, labels)}: give one of {known}, or "
            f"{none_of_these.WORD}."
        )
    return found.pop()


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name).casefold()
