"""The class of an image file, from its path alone, and its group, from a table."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Sequence
from typing import Final

from medloop.errors import DatasetError

NO_IMAGES: Final = frozenset(  # suffixes; any other name may be an image's, a DICOM UID too
    (".csv", ".db", ".htm", ".html", ".ini", ".ipynb", ".json", ".log", ".md", ".pdf", ".py",
     ".rst", ".tsv", ".txt", ".xls", ".xlsx", ".xml", ".yaml", ".yml", ".zip")
)  # fmt: skip
SPLIT_FOLDERS: Final = frozenset(
    ("train", "training", "val", "valid", "validation", "test", "testing")
)
GROUPS_FILE: Final = "groups.csv"
LEFTOVERS: Final = ("__MACOSX", "._", ".DS_Store", "Thumbs.db", "desktop.ini", ".git")  # of tools
HIDDEN: Final = (".", *LEFTOVERS)
MASK: Final = (
    r"(?i:masks?|segmentations?|annotations?|ground[ _-]?truth|gt|rois?|overlays?|contours?)"
)
LABEL: Final = r"(?i:labels?|seg)"  # also start names of classes, such as label_1
MASK_FOLDER: Final = re.compile(rf"(^|[/ _-])({MASK}($|[/ _-])|{LABEL}($|/))")
CAMEL_CASE: Final = r"(?<=[a-z0-9])(?=[A-Z])"
MASK_NAME: Final = re.compile(
    rf"^({MASK}|{LABEL})[ _.-]|([ _.-]|{CAMEL_CASE})({MASK}|{LABEL}|(?i:binary))([ _-]?\d+)?$"
)


def visible_paths(paths: Iterable[str], *, folder: str | None = None) -> list[str]:
    """Return the paths that are not hidden or in `__MACOSX`, below `folder` if one is named."""
    return [path for path in paths if not _is_hidden(path) and _below(path.split("/"), folder)]


def image_paths(paths: Iterable[str], *, folder: str | None = None) -> dict[str, str]:
    """Apply `names_in_folders` to the visible paths that may be images by their suffix."""
    shown = visible_paths(paths, folder=folder)
    return names_in_folders([path for path in shown if _may_be_image(path)], folder=folder)


def hidden_paths(paths: Iterable[str], *, folder: str | None = None) -> list[str]:
    """Return the hidden paths, but for what operating systems and Git leave behind."""
    hidden = [path for path in paths if _is_hidden(path) and _below(path.split("/"), folder)]
    return [
        path for path in hidden if not any(part.startswith(LEFTOVERS) for part in path.split("/"))
    ]


def names_in_folders(paths: Iterable[str], *, folder: str | None = None) -> dict[str, str]:
    """Name images in a zip or folder by the path from the class folder on: {path: name}.

    Files in no folder are left out, and folders around all class folders are cut off. A folder
    named after a split stays in the name (`train/Hand/1.png` is a Hand). `folder` names the folder
    that holds the class folders, if there are others beside it.
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
    """Find a class folder with folders of other classes in it, such as a second copy of the set."""
    names = list(names)
    classes = {class_of(name) for name in names}
    for name in names:
        _, _, below = name.partition(f"{class_of(name)}/")
        inner = class_of(below) if "/" in below else ""
        if inner in classes - {class_of(name)}:
            return class_of(name)
    return None


def masks(paths: Iterable[str]) -> dict[str, str]:
    """Find files that are named as masks of images: {path of the mask: path of its image}."""
    images: dict[str, str] = {}  # by name alone and with folders
    named: dict[str, list[str]] = {}
    for path in paths:
        folders, _, stem = _without_suffix(path).rpartition("/")
        if MASK_FOLDER.search(folders) or MASK_NAME.search(stem):
            name = MASK_NAME.sub("", stem)
            named[path] = [f"{folders}/{name}", name]
        else:
            images |= {stem: path, f"{folders}/{stem}": path}
    return {
        path: images[names[0] if names[0] in images else names[1]]
        for path, names in named.items()
        if not images.keys().isdisjoint(names)
    }


def class_of(name: str) -> str:
    """Return the class of an image by its name, as `image_paths` gives it."""
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
    """Return the parts after the folder; none if it isn't among them."""
    if folder is None:
        return parts
    return parts[parts.index(folder) + 1 :] if folder in parts[:-1] else ()


def read_groups(text: str) -> dict[str, int]:
    """Read {file: number of its group} from a CSV with the columns `file` and `group`.

    Raises:
        DatasetError: The table has no such columns, or a row has an empty cell.
    """
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    if not {"file", "group"} <= set(rows.fieldnames or ()):
        raise DatasetError(
            "A groups file needs the columns file and group, "
            f"found: {', '.join(rows.fieldnames or ())}."
        )
    groups: dict[str, int] = {}
    for row in rows:
        if not row["file"] or not row["group"]:
            raise DatasetError(f"Row {rows.line_num} of the groups file lacks a file or a group.")
        groups[row["file"].replace("\\", "/").removeprefix("./")] = group_number(row["group"])
    return groups


def group_number(group: str) -> int:
    """Turn a group's name into an int64: the integer that it is, else 62 bits of its hash."""
    text = group.strip()
    if text.lstrip("-").isascii() and text.lstrip("-").isdigit() and abs(int(text)) < 2**63:
        return int(text)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 2


def groups_of(names: Sequence[str], table: dict[str, int]) -> list[int]:
    """Return the group of each name.

    Raises:
        DatasetError: The table lacks some of them.
    """
    missing = [name for name in names if name not in table]
    if missing:
        raise DatasetError(
            f"The groups file names no group for {len(missing):,} of {len(names):,} images, "
            f"first {missing[0]!r}. Name each file from its class folder on, "
            "or leave the groups file out: medloop then computes groups."
        )
    return [table[name] for name in names]
