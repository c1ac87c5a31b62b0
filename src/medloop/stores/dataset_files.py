"""Image files in a zip or a folder, read one at a time and never unpacked to disk."""

from __future__ import annotations

import os
import stat
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from medloop.errors import DatasetError, DecodeError
from medloop.stores.archives import open_zip, read_entry

MOST_FILE_BYTES: Final = 100 * 2**20
MOST_TOTAL_BYTES: Final = 64 * 2**30
MOST_RATIO: Final = 200  # unpacked to packed; images hardly shrink, a bomb does by thousands
MOST_MEMBER_RATIO: Final = 1000
SMALL_BYTES: Final = 2**20  # below this a ratio means nothing


class Files(Protocol):
    """Named files; safe to read from several threads."""

    @property
    def paths(self) -> tuple[str, ...]: ...
    @property
    def left_out(self) -> tuple[tuple[str, str], ...]: ...  # and why
    def read(self, path: str) -> bytes: ...


class ZipFiles:
    """The files of an open zip."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        """Raises DatasetError where the archive could harm: see `check_zip`."""
        check_zip(archive)
        self._archive = archive
        self._lock = threading.Lock()
        members = [info for info in archive.infolist() if not info.is_dir()]
        names = [info.filename.replace("\\", "/") for info in members]
        self._members = dict(zip(names, members, strict=True))
        self.paths = tuple(self._members)
        again = (Counter(names) - Counter(self.paths)).elements()
        self.left_out = tuple((name, "The zip has a later file of this name.") for name in again)

    def read(self, path: str) -> bytes:
        with self._lock:
            return read_entry(self._archive, self._members[path], MOST_FILE_BYTES)


def check_zip(archive: zipfile.ZipFile, *, most_file_bytes: int = MOST_FILE_BYTES) -> None:
    """Raise DatasetError for bombs, paths that lead out, links and passwords."""
    members = archive.infolist()
    for info in members:
        _check_member(info, most_file_bytes)
    total, packed = (
        sum(getattr(info, size) for info in members) for size in ("file_size", "compress_size")
    )
    if total > MOST_TOTAL_BYTES or (total > SMALL_BYTES and total > MOST_RATIO * packed):
        raise DatasetError(
            f"The zip would unpack from {packed:,} to {total:,} bytes: refused, it may be a zip "
            "bomb."
        )


def _check_member(info: zipfile.ZipInfo, most_bytes: int) -> None:
    name = info.filename
    if (
        name.startswith(("/", "\\"))
        or ":" in name.split("/")[0]
        or ".." in name.replace("\\", "/").split("/")
    ):
        raise DatasetError(f"The zip holds a path that leads out of it, {name[:80]!r}: refused.")
    if info.flag_bits & 0x1:
        raise DatasetError("The zip is protected with a password: unpack it and import the folder.")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise DatasetError(f"The zip holds a symbolic link, {name[:80]!r}: refused.")
    if info.file_size > most_bytes:
        raise DatasetError(
            f"{name[:80]!r} in the zip has {info.file_size:,} bytes; at most {most_bytes:,} are "
            "read."
        )
    if info.file_size > SMALL_BYTES and info.file_size > MOST_MEMBER_RATIO * info.compress_size:
        raise DatasetError(
            f"{name[:80]!r} in the zip unpacks a thousandfold: refused, it may be a zip bomb."
        )


class FolderFiles:
    """The files below a folder; links are not followed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        found: list[str] = []
        links: list[str] = []
        for folder, folders, files in os.walk(root):
            for names, others in ((folders, []), (files, found)):
                for path in (Path(folder) / name for name in names):
                    kept = links if path.is_symlink() else others
                    kept.append(path.relative_to(root).as_posix())
        self.paths = tuple(sorted(found))
        self.left_out = tuple((link, "It is a link.") for link in sorted(links))

    def read(self, path: str) -> bytes:
        file = self._root / path
        if not file.is_file() or file.stat().st_size > MOST_FILE_BYTES:
            raise DatasetError(f"{path[:80]!r} is no file of at most {MOST_FILE_BYTES:,} bytes.")
        return file.read_bytes()


@contextmanager
def open_files(path: Path) -> Iterator[Files]:
    """Open the files of a zip or a folder.

    Raises:
        DatasetError: There is nothing there, or it is neither.
    """
    if path.is_dir():
        yield FolderFiles(path)
        return
    if not path.is_file():
        raise DatasetError(f"There is no file or folder {str(path)!r}.")
    try:
        archive = open_zip(str(path))
    except DecodeError as error:
        raise DatasetError(
            f"{path.name!r} is neither a folder nor a readable zip. {error}"
        ) from error
    with archive:
        yield ZipFiles(archive)
