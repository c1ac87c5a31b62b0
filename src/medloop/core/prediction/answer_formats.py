"""Answers as JSON lines, CSV or a table, a line each as it comes: for the command line and the page's downloads."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol, TextIO

from medloop.core.printable import harmless, json_line, printable

if TYPE_CHECKING:
    from medloop.core.prediction.predictor import Prediction

DIGITS: Final = 6  # of probabilities and scores: float32 has no more


class AnswerRow(Protocol):
    """What came of one input; see `medloop.serving.Answer`."""

    @property
    def path(self) -> str: ...
    @property
    def prediction(self) -> Prediction | None: ...
    @property
    def error(self) -> str: ...


class Format(StrEnum):
    """How answers are printed."""

    TABLE = "table"
    JSONL = "jsonl"
    CSV = "csv"


def as_record(answer: AnswerRow, model_version: str) -> dict[str, Any]:
    """The fields of one answer, in the order of docs/model.md; null where there is nothing."""
    prediction = answer.prediction
    return {
        "path": answer.path,
        "status": "ok" if prediction else "error",
        "label": prediction.label if prediction else None,
        "confidence": _rounded(prediction.confidence) if prediction else None,
        "verdict": prediction.verdict if prediction else None,
        "probabilities": {k: _rounded(p) for k, p in prediction.probabilities.items()}
        if prediction
        else None,
        "ood_score": _rounded(prediction.ood_score) if prediction else None,
        "model_version": model_version,
        "error": answer.error or None,
    }


def writer(
    form: Format, to: TextIO, *, labels: Sequence[str], model_version: str
) -> Callable[[AnswerRow], None]:
    """A function that prints one answer; prints the header, if the format has one, right away."""
    if form is Format.JSONL:
        return lambda answer: _write_json(answer, to, model_version)
    if form is Format.CSV:
        return _csv_writer(to, labels, model_version)
    to.write(f"{'LABEL':<14} {'CONFIDENCE':>10}  {'VERDICT':<9}  PATH\n")
    return lambda answer: _write_row(answer, to)


def _rounded(value: float) -> float | None:
    """`value` for JSON, which knows no infinity and no NaN."""
    return round(value, DIGITS) if math.isfinite(value) else None


def _write_json(answer: AnswerRow, to: TextIO, model_version: str) -> None:
    to.write(json_line(as_record(answer, model_version)) + "\n")


def _csv_writer(
    to: TextIO, labels: Sequence[str], model_version: str
) -> Callable[[AnswerRow], None]:
    """As `as_record`, with a column p(label) for each class; a record is always one line."""
    out = csv.writer(to, lineterminator="\n")
    fields = (
        "path",
        "status",
        "label",
        "confidence",
        "verdict",
        "ood_score",
        "model_version",
        "error",
    )
    out.writerow([*fields, *(_cell(f"p({label})") for label in labels)])

    def write(answer: AnswerRow) -> None:
        record = as_record(answer, model_version)
        probabilities = record["probabilities"] or {}
        out.writerow(
            [
                *(_cell(record[field]) for field in fields),
                *(_cell(probabilities.get(x)) for x in labels),
            ]
        )

    return write


def _cell(value: Any) -> Any:
    return harmless(printable(value)) if isinstance(value, str) else value


def _write_row(answer: AnswerRow, to: TextIO) -> None:
    prediction = answer.prediction
    if prediction is None:
        to.write(
            f"{'-':<14} {'-':>10}  {'error':<9}  {printable(answer.path)}: {printable(answer.error)}\n"
        )
        return
    label = f"({prediction.label})" if prediction.verdict == "unknown" else prediction.label
    to.write(
        f"{printable(label):<14} {prediction.confidence:>10.1%}  {prediction.verdict:<9}  {printable(answer.path)}\n"
    )
