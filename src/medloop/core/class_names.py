"""The names that a class may have, wherever they come from: a folder, an event, a person."""

from __future__ import annotations

import unicodedata
from typing import Final

from medloop.core import none_of_these

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
