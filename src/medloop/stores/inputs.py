"""Inputs to classify, from files, folders, globs, zip archives and S3 prefixes.

Each is read only when it is its turn. `archives` opens zips.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from medloop.core.data.class_folders import HIDDEN, NO_IMAGES
from medloop.core.imaging.decode import Limits
from medloop.core.imaging.file_types import kind_of
from medloop.errors import DecodeError, MedloopError, NotFoundError, SettingsError, StoreError
from medloop.stores.archives import check_size, is_zip, open_archive
from medloop.stores.objects import ObjectInfo, ObjectStore

S3_SCHEME: Final = "s3://"
TEXTS: Final = tuple(NO_IMAGES - {".zip", ".pdf"})  # what a person may take for a scan is named


@dataclass(frozen=True, slots=True)
class Input:
    """A file or picture to classify."""

    path: str  # in full, such as holiday.zip/hand.png or s3://bucket/key
    # Returns its bytes, or grey pixels; raises MedloopError or OSError.
    read: Callable[[], bytes | np.ndarray]


def iter_inputs(
    paths: Sequence[str],
    *,
    open_s3: Callable[[str], ObjectStore] | None = None,
    limits: Limits = Limits(),  # noqa: B008 -- frozen
) -> Iterator[Input]:
    """Iterate over the inputs of all paths in order, sorted by name within folders and globs.

    Folders are searched to any depth. Hidden files are left out, links to folders not followed. An
    archive is opened if it is named, or if a folder or glob has it with a name in .zip; never
    inside another archive. Tables and texts that lie beside images are passed over.

    Args:
        paths: Files, folders, globs (`**` too), zip archives, or `s3://bucket/prefix`.
        open_s3: Bucket name to store; None refuses S3 paths.
        limits: Larger files are not read; the `read` of their input says so.

    Raises:
        NotFoundError: A path names nothing. Raised before the first input, except for S3.
    """
    found = [(path, _kind(path)) for path in paths]
    return (
        item
        for path, kind in found
        for item in _expand(path, kind, open_s3, limits)
        if item.path == path or not _is_text(item)
    )


def _is_text(item: Input) -> bool:
    """Tell by name, then by content, if this is a table or text that lies beside images."""
    if not item.path.lower().endswith(TEXTS):
        return False
    try:
        kind_of(bytes(item.read()))
    except DecodeError:
        return True
    except (MedloopError, OSError):  # its turn will say so
        return False
    return False


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
    raise NotFoundError(
        f"Nothing {what}: {path!r}. Give files, folders, globs, zip archives or s3://bucket/prefix."
    )


def _expand(
    path: str, kind: str, open_s3: Callable[[str], ObjectStore] | None, limits: Limits
) -> Iterator[Input]:
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
    return Input(
        os.fsencode(path).decode("utf-8", "replace"), partial(read_file, path, limits.max_bytes)
    )


def read_file(path: str, max_bytes: int) -> bytes:
    """Read the bytes of a regular file.

    Raises:
        DecodeError: Larger than `max_bytes`, or a pipe or device.
        OSError: There is none, or no right to read it.
    """
    with open(path, "rb", opener=_open_without_waiting) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise DecodeError("This is not a regular file.")
        check_size(status.st_size, max_bytes)
        return file.read(max_bytes + 1)


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a named pipe would wait for a writer for ever


def _starts_as_zip(path: str) -> bool:
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            return stat.S_ISREG(os.fstat(file.fileno()).st_mode) and is_zip(file)
    except OSError:
        return False


def _archive(path: str, limits: Limits) -> Iterator[Input]:
    """Yield the entries of a zip. A refused archive yields one input, whose `read` says why."""
    try:
        entries = open_archive(path, max_bytes=limits.max_bytes)
    except DecodeError as error:
        yield Input(path, partial(_refuse, str(error)))
    else:
        for entry in entries:
            yield Input(f"{path}/{entry.name}", entry.read)


def _refuse(why: str) -> bytes:
    raise DecodeError(why)


def _objects(
    path: str, open_s3: Callable[[str], ObjectStore] | None, limits: Limits
) -> Iterator[Input]:
    bucket, _, prefix = path.removeprefix(S3_SCHEME).partition("/")
    if not bucket:
        raise SettingsError(f"This is not an S3 path: {path!r}. Write s3://bucket/prefix.")
    if open_s3 is None:
        raise StoreError(f"S3 paths are not available here: {path!r}")
    store, empty = open_s3(bucket), True
    own = store.head(prefix) if prefix and not prefix.endswith("/") else None
    for info in [own] if own and own.size_bytes else store.list(prefix):
        # Some tools store an empty object per folder, and the store hides its last slash.
        if info.size_bytes or "." in info.key.rpartition("/")[2]:
            empty = False
            yield Input(
                f"{S3_SCHEME}{bucket}/{info.key}",
                partial(_read_object, store, info, limits.max_bytes),
            )
    if empty:
        raise NotFoundError(f"There is nothing under {path!r}.")


def _read_object(store: ObjectStore, info: ObjectInfo, max_bytes: int) -> bytes:
    check_size(info.size_bytes, max_bytes)
    try:
        return store.get(info.key)
    except StoreError as error:
        if isinstance(error.__cause__, ValueError):
            raise DecodeError(
                "S3 clients do not agree on how to spell this key: give the object another name."
            ) from error
        raise
