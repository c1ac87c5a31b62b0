"""The answers of a page as CSV, JSON, or the files sorted into folders by answer. Pure.

The fields are those of the command line, with the person's answer behind them.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from medloop.app.kit.workbench import UploadedPicture, Workbench
from medloop.core import none_of_these
from medloop.core.prediction.answer_formats import as_record
from medloop.core.prediction.predictor import Prediction
from medloop.core.printable import harmless, printable

ANSWER: Final = ("final_label", "answered_by", "answered_at")
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class _Row:
    path: str
    prediction: Prediction | None
    error: str = ""


def as_csv(bench: Workbench) -> bytes:
    """Write a row per file, safe for spreadsheets."""
    rows = [_flat(record) for record in _records(bench)]
    fields = list(rows[0]) if rows else ["path", *ANSWER]
    out = io.StringIO()
    writer = csv.DictWriter(out, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def as_json(bench: Workbench) -> bytes:
    """Write a list with an object per file."""
    records = list(_records(bench))
    return json.dumps(records, ensure_ascii=False, allow_nan=False, indent=1).encode()


def as_zip(bench: Workbench) -> bytes:
    """Pack the files into a folder per class: the person's answer, else the model's."""
    out, taken = io.BytesIO(), Counter[str]()
    with zipfile.ZipFile(out, "w") as archive:
        for id_ in bench.order:
            picture = bench.pictures[id_]
            name = f"{_folder(bench, picture)}/{_file_name(picture.source.name)}"
            taken[name] += 1
            if taken[name] > 1:
                path = PurePosixPath(name)
                name = str(path.with_name(f"{path.stem}-{taken[name]}{path.suffix}"))
            archive.writestr(name, picture.source.read())
    return out.getvalue()


KINDS: Final[Mapping[str, Callable[[Workbench], bytes]]] = {
    "csv": as_csv,
    "json": as_json,
    "zip": as_zip,
}


def _records(bench: Workbench) -> Iterable[dict[str, Any]]:
    """Describe each picture in the page's order, then the unreadable files."""
    for id_ in bench.order:
        picture = bench.pictures[id_]
        given = bench.answers.get(picture.sha256)
        values = (given.label or none_of_these.TEXT, given.who, given.when) if given else [None] * 3
        record = as_record(_Row(picture.source.name, picture.prediction), picture.version)
        yield record | dict(zip(ANSWER, values, strict=True))
    for problem in bench.unreadable.values():
        record = as_record(_Row(problem.name, None, problem.reason), bench.version or "")
        yield record | dict.fromkeys(ANSWER)


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """Give each class a column of its own."""
    row = {name: value for name, value in record.items() if name != "probabilities"}
    row |= {f"p({label})": p for label, p in (record["probabilities"] or {}).items()}
    return {_cell(name): _cell(value) for name, value in row.items()}


def _cell(value: Any) -> Any:
    return harmless(printable(value)) if isinstance(value, str) else value


def _folder(bench: Workbench, picture: UploadedPicture) -> str:
    given = bench.answers.get(picture.sha256)
    if given:
        return _file_name(given.label or none_of_these.TEXT)
    return UNKNOWN if picture.prediction.verdict == UNKNOWN else picture.prediction.label


def _file_name(name: str) -> str:
    """Keep the last part of a name, so that no file leaves its folder."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return printable(last).strip(". ") or "picture"
