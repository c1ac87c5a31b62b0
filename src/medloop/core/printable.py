"""Text of others (names of files, classes and people, remarks) on its way to where it could act.

Terminals obey escape sequences, spreadsheets run formulas, Markdown shows pictures from elsewhere.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

FORMULA: Final = tuple("=+-@＝＋－＠")  # a spreadsheet runs a cell that begins so
MARKUP: Final = re.compile(r"[\\`*_{}\[\]!~|]")


def printable(text: str) -> str:
    """Spell out what would steer a terminal, break a line or turn text around."""
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def harmless(text: str) -> str:
    """Put an apostrophe before what a spreadsheet would run."""
    return f"'{text}" if text.startswith(FORMULA) else text


def markdown(text: str) -> str:
    """Escape Markdown and HTML; the text stays on its line."""
    line = printable(" ".join(text.split()))
    escaped = MARKUP.sub(r"\\\g<0>", line)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def json_line(value: Any) -> str:
    """Write JSON that people can read and that steers no terminal."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode()
