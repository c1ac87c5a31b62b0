"""Answers as JSON lines, CSV or a table, a line each: for the command line and downloads."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol, TextIO

from medloop.core.printable import cell, json_line, printable

if TYPE_CHECKING:
    from medloop.core.prediction.predictor import Prediction

DIGITS: Final = 6  # of probabilities and scores: float32 has no more
FIELDS: Final = ("path", "status", "label", "confidence", "verdict", "ood_score", "model_version")


class AnswerRow(Protocol):
    """The outcome for one input; see `medloop.serving.Answer`."""

    @property
    def path(self) -> str: ...
    @property
    def prediction(self) -> Prediction | None: ...
    @property
    def error(self) -> str: ...


class Format(StrEnum):
    """A format in which answers are printed."""

    TABLE = "table"
    JSONL = "jsonl"
    CSV = "csv"


def as_record(answer: AnswerRow, model_version: str) -> dict[str, Any]:
    """Give the fields of one answer, in the order of docs/model.md; null if there is nothing."""
    prediction, found = answer.prediction, {}
    if prediction:
        found = {
            "label": prediction.label,
            "confidence": _rounded(prediction.confidence),
            "verdict": prediction.verdict,
            "probabilities": {k: _rounded(p) for k, p in prediction.probabilities.items()},
            "ood_score": _rounded(prediction.ood_score),
        }
    empty = dict.fromkeys(("label", "confidence", "verdict", "probabilities", "ood_score"))
    return {
        "path": answer.path,
        "status": "ok" if prediction else "error",
        **(found or empty),
        "model_version": model_version,
        "error": answer.error or None,
    }


def writer(
    form: Format, to: TextIO, *, labels: Sequence[str], model_version: str
) -> Callable[[AnswerRow], None]:
    """Print the header, if the format has one, and give a function that prints one answer."""
    if form is Format.JSONL:
        return lambda answer: _write_json(answer, to, model_version)
    if form is Format.CSV:
        return _csv_writer(to, labels, model_version)
    to.write(f"{'LABEL':<14} {'CONFIDENCE':>10}  {'VERDICT':<9}  PATH\n")
    return lambda answer: _write_row(answer, to)


def _rounded(value: float) -> float | None:
    """Round for JSON, which knows no infinity and no NaN."""
    return round(value, DIGITS) if math.isfinite(value) else None


def _write_json(answer: AnswerRow, to: TextIO, model_version: str) -> None:
    to.write(json_line(as_record(answer, model_version)) + "\n")


def _csv_writer(
    to: TextIO, labels: Sequence[str], model_version: str
) -> Callable[[AnswerRow], None]:
    """Write as `as_record`, with a column p(label) for each class; a record is always one line."""
    out, fields = csv.writer(to, lineterminator="\n"), (*FIELDS, "error")
    out.writerow([*fields, *(cell(f"p({label})") for label in labels)])

    def write(answer: AnswerRow) -> None:
        record = as_record(answer, model_version)
        chances = record["probabilities"] or {}
        cells = [*(record[field] for field in fields), *(chances.get(label) for label in labels)]
        out.writerow(map(cell, cells))

    return write


def _write_row(answer: AnswerRow, to: TextIO) -> None:
    prediction, path = answer.prediction, printable(answer.path)
    if prediction is None:
        to.write(f"{'-':<14} {'-':>10}  {'error':<9}  {path}: {printable(answer.error)}\n")
        return
    label = f"({prediction.label})" if prediction.verdict == "unknown" else prediction.label
    confidence, verdict = prediction.confidence, prediction.verdict
    to.write(f"{printable(label):<14} {confidence:>10.1%}  {verdict:<9}  {path}\n")
