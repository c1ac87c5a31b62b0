"""Read supervisord's log for components that ended by themselves.

Its answers forget them at the next start.
"""

from __future__ import annotations

import re
import signal
from pathlib import Path

ENDED = re.compile(r" exited: (?P<name>[\w-]+) \((?P<how>.*); not expected\)")
STARTED = re.compile(r" supervisord started with pid ")


def read_ends(log: Path) -> list[tuple[str, str]]:
    """Read (component, how) since the supervisor started, oldest first; [] without a log."""
    found: list[tuple[str, str]] = []
    try:
        lines = log.read_text("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return found
    for line in lines:
        if STARTED.search(line):
            found.clear()
        elif end := ENDED.search(line):
            found.append((end["name"], _put_in_words(end["how"])))
    return found


def describe_exit(status: int) -> str:
    """Put an exit status in words; above 128 it stands for a signal."""
    if status > 128:
        try:
            return f"killed by {signal.Signals(status - 128).name}"
        except ValueError:
            pass
    return f"exit status {status}"


def _put_in_words(how: str) -> str:
    number = how.removeprefix("exit status ")
    if number.isdigit():
        return describe_exit(int(number))
    return how.replace("terminated by", "killed by")
