"""Text of others (names of files, classes and people, remarks) on its way to where it could act.

Terminals obey escape sequences, spreadsheets run formulas, Markdown shows pictures from elsewhere.
"""

from __future__ import annotations

import json
import logging
import re
from typing import Any, Final

FORMULA: Final = tuple("=+-@＝＋－＠")  # a spreadsheet runs a cell that begins so
CHAT: Final = re.compile(r"[<>@&\[\]`]")  # mentions and links begin so
MARKUP: Final = re.compile(r"[\\`*_{}\[\]!~|]")


class PrintableFormatter(logging.Formatter):
    """Formats a record as one line that acts on no terminal; a traceback follows below it."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 — logging's name
        """Write what others wrote as `printable` spells it."""
        return printable(super().formatMessage(record))


def log_to_stderr() -> None:
    """Let this process's log lines go to stderr in that form."""
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter())
    logging.basicConfig(handlers=[handler])


def printable(text: str) -> str:
    """Spell out what would steer a terminal, break a line or turn text around."""
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def harmless(text: str) -> str:
    """Put an apostrophe before what a spreadsheet would run."""
    return f"'{text}" if text.startswith(FORMULA) else text


def cell(value: Any) -> Any:
    """Make a value fit for a cell of a CSV."""
    return harmless(printable(value)) if isinstance(value, str) else value


def markdown(text: str) -> str:
    """Escape Markdown and HTML; the text stays on its line."""
    line = printable(" ".join(text.split()))
    escaped = MARKUP.sub(r"\\\g<0>", line)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def plain(text: str) -> str:
    """Keep a chat service from calling people, or showing links under other words."""
    return CHAT.sub("", printable(text))


def json_line(value: Any) -> str:
    """Write JSON that people can read and that steers no terminal."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode()
