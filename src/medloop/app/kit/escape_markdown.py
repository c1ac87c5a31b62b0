"""Text that other people chose (file names, labels, remarks, error sentences), as it is, in Streamlit's Markdown.

`![](https://host/x.png)` is a legal file name, and shown as Markdown it would have the browser call on that host.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

JOINER: Final = "\u2060"  # takes no room and breaks no line
MARKUP: Final = re.compile(r"[\\`*_{}\[\]<>~$|!&#]")
BLOCK: Final = re.compile(r"^(?:[-+=]|\d+(?=[.)]))")  # starts a list or a rule
# Streamlit looks for these after Markdown is done with escapes, so that escaping alone leaves a link, icon or arrow.
LATE: Final = re.compile(r"(?<=:)(?=\S)|(?<=www)(?=\.)|(?<=@)|(?<=[-<>~])(?=[-=>])", re.IGNORECASE)


def plain(text: str) -> str:
    """The text on one line, for any place where Streamlit takes Markdown; what cannot be seen becomes �."""
    line = "".join(" " if char.isspace() else _seen(char) for char in text).strip()
    return MARKUP.sub(r"\\\g<0>", LATE.sub(JOINER, BLOCK.sub(_not_at_the_start, line)))


def _seen(char: str) -> str:
    return "\ufffd" if unicodedata.category(char).startswith("C") else char


def _not_at_the_start(found: re.Match[str]) -> str:
    return JOINER + found[0]
