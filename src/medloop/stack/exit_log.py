"""Which components ended by themselves, and how, from supervisord's log: its answers forget that at the next start."""

from __future__ import annotations

import re
import signal
from pathlib import Path

ENDED = re.compile(r" exited: (?P<name>[\w-]+) \((?P<how>.*); not expected\)")
STARTED = re.compile(r" supervisord started with pid ")


def ends(log: Path) -> list[tuple[str, str]]:
    """(component, how) since the supervisor started, oldest first; [] where there is no log."""
    found: list[tuple[str, str]] = []
    try:
        lines = log.read_text("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return found
    for line in lines:
        if STARTED.search(line):
            found.clear()
        elif end := ENDED.search(line):
            found.append((end["name"], _in_words(end["how"])))
    return found


def describe_exit(status: int) -> str:
    """An exit status in words; above 128 it stands for a signal."""
    if status > 128:
        try:
            return f"killed by {signal.Signals(status - 128).name}"
        except ValueError:
            pass
    return f"exit status {status}"


def _in_words(how: str) -> str:
    number = how.removeprefix("exit status ")
    return (
        describe_exit(int(number))
        if number.isdigit()
        else how.replace("terminated by", "killed by")
    )
