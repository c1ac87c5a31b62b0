"""The answers of a page as CSV or JSON, with the fields that the command line uses. Pure."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from medloop.app.kit.workbench import Workbench
from medloop.core.prediction.answer_formats import Format, as_record, writer
from medloop.core.prediction.predictor import Prediction

Kind = Literal["csv", "json"]
KINDS: Final[tuple[Kind, ...]] = ("csv", "json")


@dataclass(frozen=True, slots=True)
class _Row:
    path: str
    prediction: Prediction | None
    error: str = ""


def download(bench: Workbench, kind: Kind) -> bytes:
    """Write every picture in the page's order, then the unreadable files, safe for spreadsheets."""
    rows = [
        _Row(bench.pictures[id_].source.name, bench.pictures[id_].prediction) for id_ in bench.order
    ]
    rows += [_Row(problem.name, None, problem.reason) for problem in bench.unreadable.values()]
    return (_csv(bench, rows) if kind == "csv" else _json(bench, rows)).encode()


def _csv(bench: Workbench, rows: Sequence[_Row]) -> str:
    labels = (
        list(next(iter(bench.pictures.values())).prediction.probabilities) if bench.pictures else []
    )
    out = io.StringIO()
    write = writer(Format.CSV, out, labels=labels, model_version=bench.version or "")
    for row in rows:
        write(row)
    return out.getvalue()


def _json(bench: Workbench, rows: Sequence[_Row]) -> str:
    records = [as_record(row, bench.version or "") for row in rows]
    return json.dumps(records, ensure_ascii=False, allow_nan=False, indent=1)
