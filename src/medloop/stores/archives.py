"""Untrusted zip archives, opened within limits and read an entry at a time.

Nothing is unpacked to disk, so no name inside can lead anywhere. The table of contents is checked
before an entry is opened, and the bytes that come out are counted after.
"""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, Final

from medloop.core.data.class_folders import HIDDEN
from medloop.core.imaging.file_types import kind_of
from medloop.errors import DecodeError

# The last two start split archives.
ZIP_STARTS: Final = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08", b"PK00PK")
HEAD_BYTES: Final = 132  # enough to tell an image
ENTRY_START: Final = b"PK\x01\x02"  # in a table of contents
# LZMA takes as much memory as the archive says, and bzip2 takes seconds for what packs well.
METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
MAX_ENTRIES: Final = 100_000  # their table of contents takes about a second to read
MAX_DIRECTORY_BYTES: Final = 64 * 2**20  # of that table
MAX_RATIO: Final = 200  # unpacked to packed, above a free allowance
FREE_BYTES: Final = 100 * 2**20


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    """A file in an archive."""

    name: str  # from the archive, so it may be anything
    size_bytes: int  # claimed by the archive; never more is read
    read: Callable[[], bytes]  # raises DecodeError


def is_zip(file: BinaryIO) -> bool:
    """Check for a zip archive, bare or behind something else that is no image."""
    head = file.read(HEAD_BYTES)
    if head.startswith(ZIP_STARTS):
        return True
    try:
        kind_of(head)
    except DecodeError:
        return zipfile.is_zipfile(file)
    return False


def open_archive(
    source: str | bytes, *, max_bytes: int, max_entries: int = MAX_ENTRIES
) -> list[ArchiveEntry]:
    """List the files in a zip, in its own order, without folders and hidden files.

    Args:
        source: Path of the archive, or its bytes.
        max_bytes: Larger entries are not read; their `read` says so.
        max_entries: Archives with more are refused.

    Raises:
        DecodeError: Damaged, too many entries, or a bomb.
    """
    archive = open_zip(source, max_entries=max_entries)
    found = [
        info for info in archive.infolist() if not info.is_dir() and not is_hidden(info.filename)
    ]
    packed = archive.fp.seek(0, os.SEEK_END) if archive.fp else 0
    _check_ratio(sum(info.file_size for info in found), packed)
    return [
        ArchiveEntry(info.filename, info.file_size, partial(read_entry, archive, info, max_bytes))
        for info in found
    ]


def open_zip(source: str | bytes, *, max_entries: int = MAX_ENTRIES) -> zipfile.ZipFile:
    """Open a zip and read its table of contents.

    Raises:
        DecodeError: Damaged, or it has too many entries.
    """
    try:
        file = _Guard(io.BytesIO(source) if isinstance(source, bytes) else io.FileIO(source))
        file.max_entries = max_entries
        archive = zipfile.ZipFile(file)
    except DecodeError:
        raise
    except Exception:  # zipfile raises many types for damaged tables of contents
        raise DecodeError("This zip archive is damaged.") from None
    file.max_entries = None
    return archive


def read_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo, max_bytes: int) -> bytes:
    """Read the bytes of a file in a zip, never more than it claims.

    Raises:
        DecodeError: Damaged, too large, encrypted, or too costly to unpack.
    """
    check_size(info.file_size, max_bytes)
    if info.flag_bits & 0x1 or info.compress_type not in METHODS:
        raise DecodeError("This archive entry is encrypted or packed in a way that cannot be read.")
    try:
        with archive.open(info) as file:
            data = file.read(max_bytes + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError):
        raise DecodeError("This archive entry is damaged.") from None
    check_size(len(data), max_bytes)
    return data


class _Guard(io.BufferedReader):
    """The file under a ZipFile, with a limit to its table of contents, which is read in one go.

    The end of an archive names that size, but may name several. A look-up that differs from
    zipfile's by a byte would let a bomb through.
    """

    max_entries: int | None = None  # while the table of contents is read

    def read(self, size: int | None = -1, /) -> bytes:
        if self.max_entries is None:
            return super().read(size)
        data = super().read(min(size, MAX_DIRECTORY_BYTES + 1)) if size else b""
        if len(data) > MAX_DIRECTORY_BYTES or data.count(ENTRY_START) > self.max_entries:
            raise DecodeError(f"This archive has more than {self.max_entries:,} entries; split it.")
        return data

    def __del__(self) -> None:
        self.close()


def is_hidden(name: str) -> bool:
    """Check whether a path is hidden or left behind by an operating system."""
    return any(part.startswith(HIDDEN) and not part.startswith("..") for part in name.split("/"))


def check_size(size_bytes: int, max_bytes: int) -> None:
    """Raise DecodeError for a file that is too large."""
    if size_bytes > max_bytes:
        raise DecodeError(
            f"This file has {size_bytes / 2**20:.1f} MB; "
            f"at most {max_bytes / 2**20:.0f} MB are accepted."
        )


def _check_ratio(unpacked: int, packed: int) -> None:
    if unpacked > FREE_BYTES + MAX_RATIO * packed:
        raise DecodeError(
            f"This archive claims to unpack to {unpacked / 2**20:,.0f} MB; it was not opened."
        )
