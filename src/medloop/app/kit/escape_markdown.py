"""Text that other people chose (file names, labels, remarks, error sentences), shown as it is.

`![](https://host/x.png)` is a legal file name. Shown as Markdown, it would have the browser call
that host. `printable` already spells out what would break a line or turn text around.
"""

from __future__ import annotations

import re
from html import escape
from typing import Final

from medloop.core.printable import printable

JOINER: Final = "\u2060"  # takes no room and breaks no line
MARKUP: Final = re.compile(r"[\\`*_{}\[\]<>~$|!&#]")
BLOCK: Final = re.compile(r"^(?=[-+=]|\d+[.)])")  # starts a list or a rule
# Streamlit looks for these once Markdown is done with escapes: escaping alone leaves a link or icon.
LATE: Final = re.compile(r"(?<=:)(?=\S)|(?<=www)(?=\.)|(?<=@)|(?<=[-<>~])(?=[-=>])", re.IGNORECASE)


def plain(text: str) -> str:
    """Escape the text for any place in which Streamlit takes Markdown; it stays on one line."""
    line = BLOCK.sub(JOINER, printable(" ".join(text.split())))
    return MARKUP.sub(r"\\\g<0>", LATE.sub(JOINER, line))


def plain_html(text: str) -> str:
    """Escape the text for HTML."""
    return escape(printable(text))
