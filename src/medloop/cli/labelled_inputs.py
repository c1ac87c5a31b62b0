"""The input of `medloop correct`: pictures with a label each, from paths, folders or a table."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from medloop.core.data.class_folders import class_of, names_in_folders
from medloop.errors import MedloopError
from medloop.stores.inputs import Input

Find = Callable[[Sequence[str]], Iterator[Input]]


@dataclass(frozen=True, slots=True)
class Labelled:
    """A picture and the label that was typed for it."""

    item: Input
    label: str
    note: str = ""
    line: int | None = None  # of the table


def from_paths(paths: Sequence[str], label: str | None, find: Find) -> Iterator[Labelled]:
    """Yield all pictures of the paths; without a label, each is named by its class folder."""
    for path in paths:
        items = list(find([path]))
        below = [item.path.removeprefix(path).lstrip("/") for item in items]
        names = names_in_folders(below) if label is None else {}
        for item, name in zip(items, below, strict=True):
            if label is not None:
                yield Labelled(item, label)
            elif name in names:
                yield Labelled(item, class_of(names[name]))
            else:
                why = "It lies in no class folder: give --label."
                yield Labelled(_unreadable(item.path, why), "")


def from_table(lines: Iterable[str], find: Find) -> Iterator[Labelled]:
    """Read a CSV with the columns `path` and `label`, perhaps `note`; others are ignored.

    Raises:
        MedloopError: It has no such columns.
    """
    rows = csv.DictReader(line.removeprefix("\ufeff") for line in lines)
    if not {"path", "label"} <= set(rows.fieldnames or ()):
        found = ", ".join(rows.fieldnames or ()) or "nothing"
        raise MedloopError(f"The table needs the columns path and label, found: {found}.")
    for row in rows:
        path, label, note = (row.get(name) or "" for name in ("path", "label", "note"))
        try:
            for item in find([path]):
                yield Labelled(item, label, note, rows.line_num)
        except MedloopError as error:
            yield Labelled(_unreadable(path, str(error)), label, note, rows.line_num)


def _unreadable(path: str, why: str) -> Input:
    return Input(path, partial(_refuse, why))


def _refuse(why: str) -> NoReturn:
    raise MedloopError(why)
