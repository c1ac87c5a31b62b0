"""Which class an image file belongs to, from its path alone, and which group, from a table."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Sequence
from typing import Final

from medloop.errors import DatasetError

NO_IMAGES: Final = frozenset(  # suffixes; any other name may be an image's, a DICOM UID too
    (".csv", ".db", ".htm", ".html", ".ini", ".ipynb", ".json", ".log", ".md", ".pdf", ".py", ".rst", ".tsv", ".txt",
     ".xls", ".xlsx", ".xml", ".yaml", ".yml", ".zip")
)  # fmt: skip
SPLIT_FOLDERS: Final = frozenset(
    ("train", "training", "val", "valid", "validation", "test", "testing")
)
GROUPS_FILE: Final = "groups.csv"
HIDDEN: Final = (
    ".",
    "__MACOSX",
    "Thumbs.db",
    "desktop.ini",
)  # what systems leave beside a person's files
MASK: Final = r"(masks?|segmentations?|seg|annotations?|ground[ _-]?truth|gt|labels?)"
MASK_FOLDER: Final = re.compile(rf"(^|[/ _-]){MASK}($|/)", re.IGNORECASE)
MASK_NAME: Final = re.compile(rf"[ _.-]{MASK}([ _-]?\d+)?$", re.IGNORECASE)


def visible_paths(paths: Iterable[str], *, folder: str | None = None) -> list[str]:
    """The paths that a person put there: no hidden files and nothing of `__MACOSX`, below `folder` if one is named."""
    return [path for path in paths if not _is_hidden(path) and _below(path.split("/"), folder)]


def image_paths(paths: Iterable[str], *, folder: str | None = None) -> dict[str, str]:
    """`names_in_folders` of the visible paths that may be images by their suffix."""
    shown = visible_paths(paths, folder=folder)
    return names_in_folders([path for path in shown if _may_be_image(path)], folder=folder)


def names_in_folders(paths: Iterable[str], *, folder: str | None = None) -> dict[str, str]:
    """From paths of images in a zip or folder to {path: name}, name being the path from the class folder on.

    Files in no folder are left out. Folders around all class folders are cut off, and so is one named after a
    split (`train/Hand/1.png` is a Hand, its name stays `train/Hand/1.png`). `folder` names the folder that holds
    the class folders, where there are others beside it.
    """
    parts = {path: _below(path.split("/"), folder) for path in paths}
    parts = {path: names for path, names in parts.items() if len(names) > 1}
    while (
        parts
        and min(map(len, parts.values())) > 2
        and len({names[0] for names in parts.values()}) == 1
    ):
        parts = {path: names[1:] for path, names in parts.items()}
    return {path: "/".join(names) for path, names in parts.items()}


def nested_class(names: Iterable[str]) -> str | None:
    """A class folder that holds folders of other classes, as a second copy of the set does; None if there is none."""
    names = list(names)
    classes = {class_of(name) for name in names}
    for name in names:
        _, _, below = name.partition(f"{class_of(name)}/")
        inner = class_of(below) if "/" in below else ""
        if inner in classes - {class_of(name)}:
            return class_of(name)
    return None


def masks(paths: Iterable[str]) -> dict[str, str]:
    """From the path of each mask to that of its image, for files that are named as masks of others."""
    images = {}
    for path in paths:
        folders, _, stem = _without_suffix(path).rpartition("/")
        if not MASK_FOLDER.search(folders) and not MASK_NAME.search(stem):
            images[stem] = path
    found = {}
    for path in paths:
        folders, _, stem = _without_suffix(path).rpartition("/")
        image = images.get(MASK_NAME.sub("", stem))
        if image and (MASK_FOLDER.search(folders) or MASK_NAME.search(stem)):
            found[path] = image
    return found


def class_of(name: str) -> str:
    """The class of an image by its name, as `image_paths` gives it."""
    parts = name.split("/")
    return parts[1] if len(parts) > 2 and parts[0].lower() in SPLIT_FOLDERS else parts[0]


def _is_hidden(path: str) -> bool:
    return any(part.startswith(HIDDEN) for part in path.split("/"))


def _may_be_image(path: str) -> bool:
    file = path.rpartition("/")[2]
    return file[len(_without_suffix(file)) :].lower() not in NO_IMAGES


def _without_suffix(path: str) -> str:
    stem, dot, suffix = path.rpartition(".")
    return stem if dot and stem and "/" not in suffix else path


def _below(parts: Sequence[str], folder: str | None) -> Sequence[str]:
    """What follows the folder in `parts`; nothing if it isn't among them."""
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
