"""`medloop predict`: what images show."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TextIO

import typer

from medloop.cli.terminal import counter, warn
from medloop.core.prediction.answer_formats import Format

if TYPE_CHECKING:
    from medloop.cli.labelled_inputs import Find
    from medloop.core.imaging.decode import Limits
    from medloop.serving import Served
    from medloop.settings import Settings
    from medloop.stores.inputs import Input

FLUSH_EVERY_S: Final = 0.5  # flushing each line would cost more than predicting


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("predict")(predict)


def predict(
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Files, folders, globs, zip archives, `s3://bucket/prefix`, or `-` to read a list "
            "of paths from standard input."
        ),
    ],
    form: Annotated[Format, typer.Option("--format", help="Output format.")] = Format.TABLE,
    output: Annotated[
        Path | None, typer.Option(help="Write to this file instead of standard output.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit code 1 if a file could not be read.")
    ] = False,
) -> None:
    """Classify images: one answer per line, in the order of the input.

    The content of a file decides whether it is JPEG, PNG, BMP, TIFF, WebP, GIF or DICOM. A file
    that cannot be read gets a line with the reason. Tables and texts in a folder are passed over.
    `verdict` is "confident", "unsure", or "unknown": none of the classes. `label` is then the
    nearest class, in brackets in a table.

    Examples: `medloop predict scans/`, `medloop predict "in/**/*.dcm" --format jsonl`,
    `medloop predict archive.zip --format csv --output answers.csv`,
    `find . -name '*.png' | medloop predict -`
    """
    from medloop.wiring import connect, open_champion

    context = connect()
    settings = context.settings
    try:
        served = open_champion(context).current()
        if served.notice:
            warn(served.notice)
        inputs = find_inputs(settings)(paths)  # first: a path that names nothing leaves no file
        with _open_output(output) as to:
            unread = _predict_all(served, inputs, form, to, limits=limits_of(settings))
        if strict and unread:
            raise typer.Exit(1)
    except BrokenPipeError:  # the reader, `head` perhaps, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def find_inputs(settings: Settings) -> Find:
    """Make the function from paths to what they hold; `-` reads them from standard input."""
    from medloop.stores.inputs import iter_inputs
    from medloop.stores.objects import ObjectStore

    def open_s3(bucket: str) -> ObjectStore:
        return ObjectStore.from_settings(settings, bucket=bucket)

    def find(paths: Sequence[str]) -> Iterator[Input]:
        lines = (
            [line.rstrip("\n") for line in sys.stdin if line.strip()] if paths == ["-"] else paths
        )
        return iter_inputs(lines, open_s3=open_s3, limits=limits_of(settings))

    return find


def _predict_all(
    served: Served, inputs: Iterator[Input], form: Format, to: TextIO, *, limits: Limits
) -> int:
    """Print the answers, and count the inputs that could not be read."""
    from medloop.core.prediction.answer_formats import writer
    from medloop.errors import NotFoundError
    from medloop.serving import classify

    labels = served.predictor.metadata.labels
    write, written = writer(form, to, labels=labels, model_version=served.version), 0
    unread = 0
    with counter(quiet=to is sys.stdout and sys.stdout.isatty()) as advance:
        flushed_at = time.monotonic()
        for answer in classify(served.predictor, inputs, limits=limits):
            write(answer)
            written += 1
            unread += answer.prediction is None
            advance()
            if time.monotonic() - flushed_at > FLUSH_EVERY_S:
                to.flush()
                flushed_at = time.monotonic()
    to.flush()
    if not written:
        raise NotFoundError("There are no images in what was given.")
    return unread


def limits_of(settings: Settings) -> Limits:
    """Return the bounds for one file."""
    from medloop.core.imaging.decode import Limits

    return Limits(max_bytes=settings.max_upload_mb * 2**20)


@contextlib.contextmanager
def _open_output(path: Path | None) -> Iterator[TextIO]:
    from medloop.errors import MedloopError

    if path is None:
        yield sys.stdout
        return
    try:
        file = path.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise MedloopError(
            f"{path} cannot be written: {error.strerror}. Give --output another file."
        ) from error
    with file:
        yield file
