"""What a person means by a path: files, folders, globs, zip archives and S3 prefixes, as a stream of inputs.

Nothing is unpacked to disk, so no name in an archive can lead anywhere, and nothing is read before it is its turn.
Archives are bounded by what their directory claims before an entry is opened, and by what really comes out after.
"""

from __future__ import annotations

import glob
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from medloop.core.decode import Limits
from medloop.errors import DecodeError, NotFoundError, SettingsError, StoreError
from medloop.stores.objects import ObjectInfo, ObjectStore

S3_SCHEME: Final = "s3://"
ZIP_STARTS: Final = (b"PK\x03\x04", b"PK\x05\x06")
MAX_DIRECTORY_BYTES: Final = 64 * 2**20  # of a zip's table of contents: about half a million entries
MAX_RATIO: Final = 200  # of a zip: unpacked to packed, above a free allowance
FREE_BYTES: Final = 100 * 2**20
HIDDEN: Final = (".", "__MACOSX", "Thumbs.db", "desktop.ini")  # what systems leave beside a person's files


@dataclass(frozen=True, slots=True)
class Input:
    """One thing to classify."""

    path: str  # as a person would name it: holiday.zip/hand.png, s3://bucket/key
    read: Callable[[], bytes | np.ndarray]  # its bytes, or grey pixels; raises MedloopError or OSError


def iter_inputs(
    paths: Sequence[str],
    *,
    open_s3: Callable[[str], ObjectStore] | None = None,
    limits: Limits = Limits(),  # noqa: B008 -- frozen
) -> Iterator[Input]:
    """The inputs of all paths, in the order of the paths; folders, globs and archives in the order of names.

    Folders are searched to any depth; hidden files are left out, links to folders not followed. An archive is
    opened where it is named, and in a folder or glob where its name ends in .zip; never inside another archive.

    Args:
        paths: Files, folders, globs (`**` too), zip archives, or `s3://bucket/prefix`.
        open_s3: Bucket name to store; None refuses S3 paths.
        limits: Larger files are not read, but give an input whose `read` says so.

    Raises:
        NotFoundError: A path names nothing. Known before the first input, except for S3.
    """
    found = [(path, _kind(path)) for path in paths]
    return (item for path, kind in found for item in _expand(path, kind, open_s3, limits))


def _kind(path: str) -> str:
    if path.startswith(S3_SCHEME):
        return "s3"
    if Path(path).is_dir():
        return "folder"
    if os.path.lexists(path):
        return "file"
    if glob.has_magic(path) and next(glob.iglob(path, recursive=True), None) is not None:  # noqa: PTH207 -- absolute ones too
        return "glob"
    what = "matches this pattern" if glob.has_magic(path) else "is there"
    raise NotFoundError(f"Nothing {what}: {path!r}. Give files, folders, globs, zip archives or s3://bucket/prefix.")


def _expand(path: str, kind: str, open_s3: Callable[[str], ObjectStore] | None, limits: Limits) -> Iterator[Input]:
    if kind == "s3":
        yield from _objects(path, open_s3, limits)
    elif kind == "folder":
        yield from _folder(path, limits)
    elif kind == "glob":
        for match in sorted(glob.iglob(path, recursive=True)):  # noqa: PTH207
            yield from _folder(match, limits) if Path(match).is_dir() else _member(match, limits)
    elif _starts_as_zip(path):
        yield from _archive(path, limits)
    else:
        yield _file(path, limits)


def _folder(path: str, limits: Limits) -> Iterator[Input]:
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith(HIDDEN))
        for name in sorted(names):
            if not name.startswith(HIDDEN):
                yield from _member(os.path.join(folder, name), limits)  # noqa: PTH118 -- a Path for each is slow


def _member(path: str, limits: Limits) -> Iterator[Input]:
    if path.lower().endswith(".zip") and _starts_as_zip(path):
        yield from _archive(path, limits)
    else:
        yield _file(path, limits)


def _file(path: str, limits: Limits) -> Input:
    return Input(os.fsencode(path).decode("utf-8", "replace"), partial(read_file, path, limits.max_bytes))


def read_file(path: str, max_bytes: int) -> bytes:
    """The bytes of a regular file.

    Raises:
        DecodeError: Larger than `max_bytes`, or a pipe or device.
        OSError: There is none, or no right to read it.
    """
    with open(path, "rb", opener=_open_without_waiting) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise DecodeError("This is not a regular file.")
        _check_size(status.st_size, max_bytes)
        return file.read(max_bytes + 1)


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a named pipe would wait for a writer for ever


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise DecodeError(f"This file has {size / 2**20:.1f} MB; at most {max_bytes / 2**20:.0f} MB are accepted.")


def _starts_as_zip(path: str) -> bool:
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            return file.read(4) in ZIP_STARTS
    except OSError:
        return False


def _archive(path: str, limits: Limits) -> Iterator[Input]:
    """The entries of a zip. An archive that cannot be trusted gives one input, whose `read` says why."""
    try:
        _check_directory(path)
        archive = zipfile.ZipFile(path)
        entries = [entry for entry in archive.infolist() if not entry.is_dir() and not _is_hidden(entry.filename)]
        _check_ratio(sum(entry.file_size for entry in entries), Path(path).stat().st_size)
    except (zipfile.BadZipFile, OSError, struct.error, NotImplementedError, ValueError):
        yield Input(path, partial(_refuse, "This zip archive is damaged."))
    except DecodeError as error:
        yield Input(path, partial(_refuse, str(error)))
    else:
        for entry in entries:
            yield Input(f"{path}/{entry.filename}", partial(_read_entry, archive, entry, limits.max_bytes))


def _check_directory(path: str) -> None:
    """Refuse a table of contents that would not fit in memory, which `zipfile` reads as a whole."""
    with open(path, "rb") as file:  # noqa: PTH123
        file.seek(max(0, Path(path).stat().st_size - 66_000))
        tail = file.read()
    (size,) = struct.unpack_from("<I", tail, tail.rindex(b"PK\x05\x06") + 12)
    if size == 0xFFFFFFFF:
        (size,) = struct.unpack_from("<Q", tail, tail.rindex(b"PK\x06\x06") + 40)
    if size > MAX_DIRECTORY_BYTES:
        raise DecodeError("This archive has too many entries; split it.")


def _check_ratio(unpacked: int, packed: int) -> None:
    if unpacked > FREE_BYTES + MAX_RATIO * packed:
        raise DecodeError(f"This archive claims to unpack to {unpacked / 2**20:,.0f} MB; it was not opened.")


def _is_hidden(name: str) -> bool:
    return any(part.startswith(HIDDEN) and not part.startswith("..") for part in name.split("/"))


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, max_bytes: int) -> bytes:
    _check_size(entry.file_size, max_bytes)
    try:
        with archive.open(entry) as file:
            data = file.read(max_bytes + 1)
    except RuntimeError:  # what zipfile raises for a password, and NotImplementedError for a method it lacks
        raise DecodeError("This archive entry is encrypted or packed in a way that cannot be read.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError):
        raise DecodeError("This archive entry is damaged.") from None
    _check_size(len(data), max_bytes)
    return data


def _refuse(why: str) -> bytes:
    raise DecodeError(why)


def _objects(path: str, open_s3: Callable[[str], ObjectStore] | None, limits: Limits) -> Iterator[Input]:
    bucket, _, prefix = path.removeprefix(S3_SCHEME).partition("/")
    if not bucket:
        raise SettingsError(f"This is not an S3 path: {path!r}. Write s3://bucket/prefix.")
    if open_s3 is None:
        raise StoreError(f"S3 paths are not available here: {path!r}")
    store, empty = open_s3(bucket), True
    for info in store.list(prefix):
        # Some tools store an empty object for each folder; of its name the store does not tell the last slash.
        if info.size_bytes or "." in info.key.rpartition("/")[2]:
            empty = False
            yield Input(f"{S3_SCHEME}{bucket}/{info.key}", partial(_read_object, store, info, limits.max_bytes))
    if empty:
        raise NotFoundError(f"There is nothing under {path!r}.")


def _read_object(store: ObjectStore, info: ObjectInfo, max_bytes: int) -> bytes:
    _check_size(info.size_bytes, max_bytes)
    return store.get(info.key)
