"""New lines of several growing log files, through rotation."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path

CHUNK_BYTES = 256 * 1024


class Tail:
    """Follows files that may not exist yet; a half-written last line waits for its end."""

    def __init__(self, paths: Mapping[str, Path], *, from_start: bool = False) -> None:
        """Count lines that are there already as new only `from_start`."""
        self._paths = dict(paths)
        self._places: dict[str, tuple[int, int]] = {}  # name → inode, offset
        if not from_start:
            for name, path in self._paths.items():
                if path.exists():
                    status = path.stat()
                    self._places[name] = status.st_ino, status.st_size

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield (name, line) of all that came since the last call."""
        for name, path in self._paths.items():
            try:
                with path.open("rb") as file:
                    yield from ((name, line) for line in self._new(name, file.fileno()))
            except FileNotFoundError:
                continue

    def _new(self, name: str, descriptor: int) -> Iterator[str]:
        status = os.fstat(descriptor)
        inode, offset = self._places.get(name, (status.st_ino, 0))
        if inode != status.st_ino or offset > status.st_size:  # rotated or truncated
            offset = 0
        data = os.pread(descriptor, CHUNK_BYTES, offset)
        endless = len(data) == CHUNK_BYTES and b"\n" not in data
        whole = data if endless else data[: data.rfind(b"\n") + 1]
        self._places[name] = status.st_ino, offset + len(whole)
        yield from whole.decode("utf-8", "replace").splitlines()


def last_lines(path: Path, count: int) -> list[str]:
    """Read the end of a log; [] where there is none."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return [line.rstrip("\n") for line in deque(file, count)]
    except FileNotFoundError:
        return []
