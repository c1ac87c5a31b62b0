"""The answers of a page as CSV or JSON, by the writer that the command line uses. Pure."""

from __future__ import annotations

import io
from dataclasses import dataclass

from medloop.app.session import Workbench
from medloop.core.predict import Prediction
from medloop.core.records import Format, writer


@dataclass(frozen=True, slots=True)
class _Row:
    path: str
    prediction: Prediction | None
    error: str = ""


def download(bench: Workbench, form: Format) -> bytes:
    """Every picture in the order of the page, then what could not be read; safe to open in a spreadsheet."""
    rows = [_Row(bench.pictures[id_].source.name, bench.pictures[id_].prediction) for id_ in bench.order]
    rows += [_Row(problem.name, None, problem.reason) for problem in bench.unreadable.values()]
    labels = list(next(iter(bench.pictures.values())).prediction.probabilities) if bench.pictures else []
    out = io.StringIO()
    write = writer(form, out, labels=labels, model_version=bench.version or "")
    for row in rows:
        write(row)
    return out.getvalue().encode()
