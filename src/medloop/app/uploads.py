"""Uploaded files to sources: zips are unpacked in memory, within limits. Nothing touches the disk."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from medloop.app.session import Source

MAX_MEMBERS: Final = 1_000  # pictures from one zip
MAX_UNPACKED_BYTES: Final = 500 * 2**20  # of one zip, so that a small file cannot fill the memory
SKIPPED_PREFIXES: Final = ("__MACOSX/", ".")


class Upload(Protocol):
    """A file from the browser, as Streamlit hands it over."""

    file_id: str
    name: str

    def getvalue(self) -> bytes: ...


@dataclass(slots=True)
class Unpacked:
    """What a set of uploads holds."""

    sources: list[Source] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # sentences


def unpack(uploads: Iterable[Upload], *, known: Unpacked | None = None, max_bytes: int) -> Unpacked:
    """Every file of the uploads, zips opened.

    Args:
        uploads: As the browser gave them.
        known: An earlier result of the same session: zips that are in it are not opened again.
        max_bytes: The largest file that is taken out of a zip.
    """
    earlier: dict[str, list[Source]] = {}
    for source in known.sources if known else ():
        earlier.setdefault(source.id.partition("/")[0], []).append(source)
    result = Unpacked()
    for upload in uploads:
        if upload.file_id in earlier:
            result.sources += earlier[upload.file_id]
            continue
        data = upload.getvalue()
        if not (upload.name.lower().endswith(".zip") or data[:4] == b"PK\x03\x04"):
            result.sources.append(Source(upload.file_id, upload.name, data))
            continue
        try:
            result.sources += list(_members(upload.file_id, data, max_bytes=max_bytes))
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError, ValueError) as error:
            result.problems.append(f"{upload.name} could not be opened as a zip: {error}")
    return result


def _members(file_id: str, data: bytes, *, max_bytes: int) -> Iterator[Source]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [m for m in archive.infolist() if not m.is_dir() and not _skipped(m.filename)]
        if len(members) > MAX_MEMBERS:
            raise ValueError(f"it holds {len(members)} files, more than {MAX_MEMBERS}: send it in parts")
        if sum(member.file_size for member in members) > MAX_UNPACKED_BYTES:
            raise ValueError(f"unpacked it is larger than {MAX_UNPACKED_BYTES // 2**20} MB: send it in parts")
        for place, member in enumerate(members):
            with archive.open(member) as file:
                # One byte more than allowed is enough for `decode` to say that the file is too large.
                yield Source(f"{file_id}/{place}", member.filename, file.read(max_bytes + 1))


def _skipped(path: str) -> bool:
    return path.startswith(SKIPPED_PREFIXES) or path.rsplit("/", 1)[-1].startswith(".")
