"""A file in memory with a limit of reads, which bounds the work of parsers written in Python.

A small hostile file can hold millions of tiny elements, chunks or runs, which costs a parser
seconds to minutes. Each takes at least one read, so counting reads stops them all without a clock.
"""

from __future__ import annotations

import io

from medloop.errors import DecodeError

MAX_READS = 200_000  # half a second; an enhanced CT of 500 frames takes about 60,000


class MeteredReader(io.BytesIO):
    """BytesIO whose `read` raises DecodeError after `max_reads` calls."""

    def __init__(self, data: bytes, *, max_reads: int = MAX_READS) -> None:
        super().__init__(data)
        self._left = max_reads

    def read(self, size: int | None = -1, /) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise DecodeError(
                "This file holds so many small parts that it looks like an attack; it was not read."
            )
        return super().read(size)
