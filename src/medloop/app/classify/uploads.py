"""Uploaded files to sources: zips are opened in memory, within limits. Nothing touches the disk.

A session holds only the upload of a zip: a member is unpacked when it is looked at, and let go.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

from medloop.app.kit.workbench import Source
from medloop.core.printable import printable
from medloop.errors import DecodeError
from medloop.stores.archives import ArchiveEntry, is_hidden, is_zip, open_archive

MAX_PICTURES: Final = 5_000  # in one session: thumbnails and answers take memory, too
MAX_MEMBERS: Final = 1_000  # pictures from one zip
MAX_ENTRIES: Final = 10 * MAX_MEMBERS  # of it, hidden files and folders included
MAX_UNPACKED_BYTES: Final = 500 * 2**20  # of one zip: how much one upload may give the page to do


class Upload(Protocol):
    """A file from the browser, as Streamlit hands it over."""

    file_id: str
    name: str  # of a file in a folder: its path from there

    def getvalue(self) -> bytes: ...


@dataclass(slots=True)
class Unpacked:
    """The pictures and the problems found in a set of uploads."""

    sources: list[Source] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # sentences


def unpack(uploads: Iterable[Upload], *, max_bytes: int, room: int = MAX_PICTURES) -> Unpacked:
    """List the uploads' files, zips opened, without what systems leave beside a person's files.

    Args:
        uploads: As the browser gave them.
        max_bytes: The largest file that is taken out of a zip.
        room: For how many pictures this page has room.
    """
    result = Unpacked()
    for upload in uploads:
        if "/" in upload.name and is_hidden(upload.name):
            continue
        data = upload.getvalue()
        if not (upload.name.lower().endswith(".zip") or is_zip(io.BytesIO(data))):
            result.sources.append(Source(upload.file_id, printable(upload.name), data))
            continue
        try:
            members = _members(data, max_bytes=max_bytes)
        except DecodeError as error:
            result.problems.append(f"{upload.name}: {error}")
        else:
            result.sources += [
                Source(f"{upload.file_id}/{n}", printable(m.name), m.read)
                for n, m in enumerate(members[:MAX_MEMBERS])
            ]
            if len(members) > MAX_MEMBERS:
                result.problems.append(
                    f"{upload.name}: the first {MAX_MEMBERS:,} of its {len(members):,} files are "
                    "here. For all of them, use the command medloop predict."
                )
    if (over := len(result.sources) - room) > 0:
        del result.sources[room:]
        result.problems.append(
            f"This page takes {MAX_PICTURES:,} pictures at a time; {over:,} were left out. "
            "For more, use the command medloop predict."
        )
    return result


def _members(data: bytes, *, max_bytes: int) -> list[ArchiveEntry]:
    members = open_archive(data, max_bytes=max_bytes, max_entries=MAX_ENTRIES)
    if not members:
        raise DecodeError("This zip archive is empty.")
    if sum(member.size_bytes for member in members[:MAX_MEMBERS]) > MAX_UNPACKED_BYTES:
        raise DecodeError(
            f"Unpacked, this archive is larger than {MAX_UNPACKED_BYTES // 2**20} MB. "
            "Please split it."
        )
    return members
