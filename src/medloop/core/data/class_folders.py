"""Which class an image file belongs to, from its path alone, and which group, from a table."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from typing import Final

from medloop.errors import DatasetError

SUFFIXES: Final = frozenset(
    (
        "",
        ".bmp",
        ".dcm",
        ".dicom",
        ".jfif",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".png",
        ".tif",
        ".tiff",
        ".webp",
    )
)
SPLIT_FOLDERS: Final = frozenset(
    ("train", "training", "val", "valid", "validation", "test", "testing")
)
GROUPS_FILE: Final = "groups.csv"


def image_paths(paths: Sequence[str], *, folder: str | None = None) -> dict[str, str]:
    """From paths in a zip or folder to {path: name}, name being the path from the class folder on.

    Hidden files, `__MACOSX` and files that are no images by their suffix (any letter case; none is taken for
    DICOM) are left out, and so are files in no folder. Folders around all class folders are cut off, and so is
    one named after a split (`train/Hand/1.png` is a Hand, its name stays `train/Hand/1.png`). `folder` names the folder
    that holds the class folders, where there are others beside it.
    """
    parts = {path: _below(tuple(path.split("/")), folder) for path in paths if _is_image(path)}
    parts = {path: names for path, names in parts.items() if len(names) > 1}
    while (
        parts
        and min(map(len, parts.values())) > 2
        and len({names[0] for names in parts.values()}) == 1
    ):
        parts = {path: names[1:] for path, names in parts.items()}
    return {path: "/".join(names) for path, names in parts.items()}


def class_of(name: str) -> str:
    """The class of an image by its name, as `image_paths` gives it."""
    parts = name.split("/")
    return parts[1] if len(parts) > 2 and parts[0].lower() in SPLIT_FOLDERS else parts[0]


def _is_image(path: str) -> bool:
    *folders, file = path.split("/")
    if any(part.startswith(".") or part == "__MACOSX" for part in (*folders, file)):
        return False
    stem, dot, suffix = file.rpartition(".")
    return (f".{suffix.lower()}" if dot and stem else "") in SUFFIXES


def _below(parts: tuple[str, ...], folder: str | None) -> tuple[str, ...]:
    """What follows the folder in `parts`; nothing where it isn't among them."""
    if folder is None:
        return parts
    return parts[parts.index(folder) + 1 :] if folder in parts[:-1] else ()


def read_groups(text: str) -> dict[str, int]:
    """{file: group} of a CSV with the columns `file` and `group`. A group that is no integer gets a number by hash.

    Raises:
        DatasetError: The table has no such columns, or a row has an empty cell.
    """
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    if not {"file", "group"} <= set(rows.fieldnames or ()):
        raise DatasetError(
            f"A groups file needs the columns file and group, found: {', '.join(rows.fieldnames or ())}."
        )
    groups: dict[str, int] = {}
    for row in rows:
        if not row["file"] or not row["group"]:
            raise DatasetError(f"Row {rows.line_num} of the groups file lacks a file or a group.")
        groups[row["file"].replace("\\", "/").removeprefix("./")] = group_number(row["group"])
    return groups


def group_number(group: str) -> int:
    """An int64 for a group's name: the integer that it is, else 62 bits of its hash."""
    text = group.strip()
    if text.lstrip("-").isascii() and text.lstrip("-").isdigit() and abs(int(text)) < 2**63:
        return int(text)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 2


def groups_of(names: Sequence[str], table: dict[str, int]) -> list[int]:
    """The group of each name.

    Raises:
        DatasetError: The table lacks some of them.
    """
    missing = [name for name in names if name not in table]
    if missing:
        raise DatasetError(
            f"The groups file names no group for {len(missing):,} of {len(names):,} images, first {missing[0]!r}. "
            "Name each file from its class folder on, or leave the groups file out: medloop then computes groups."
        )
    return [table[name] for name in names]
