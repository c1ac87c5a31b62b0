"""`medloop predict` and `medloop correct`: what an image shows, and what it should have said."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TextIO

import typer

from medloop.cli.terminal import counter, say, warn
from medloop.core import none_of_these
from medloop.core.prediction.answer_formats import Format

if TYPE_CHECKING:
    from medloop.core.imaging.decode import DecodedImage, Limits
    from medloop.jobs.context import Context
    from medloop.serving import Champion, Served
    from medloop.settings import Settings
    from medloop.stores.inputs import Input
    from medloop.stores.outbox import Receipt

STORED_WITHIN_S: Final = 10.0
FLUSH_EVERY_S: Final = 0.5  # flushing each line would cost more than predicting


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("predict")(predict)
    app.command("correct")(correct)


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
) -> None:
    """Classify images: one answer per line, in the order of the input.

    The content of a file decides whether it is JPEG, PNG, BMP, TIFF, WebP, GIF or DICOM. A file
    that cannot be read gets a line with the reason. `verdict` is **confident**, **unsure**, or
    **unknown**: none of the classes. `label` is then the nearest class, in brackets in a table.

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
        inputs = _inputs(settings, paths)  # first: a path that names nothing leaves no file
        with _open_output(output) as to:
            _predict_all(served, inputs, form, to, limits=_limits(settings))
    except BrokenPipeError:  # the reader, `head` perhaps, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _inputs(settings: Settings, paths: list[str]) -> Iterator[Input]:
    from medloop.stores.inputs import iter_inputs
    from medloop.stores.objects import ObjectStore

    def open_s3(bucket: str) -> ObjectStore:
        return ObjectStore.from_settings(settings, bucket=bucket)

    named = [line.rstrip("\n") for line in sys.stdin if line.strip()] if paths == ["-"] else paths
    return iter_inputs(named, open_s3=open_s3, limits=_limits(settings))


def _predict_all(
    served: Served, inputs: Iterator[Input], form: Format, to: TextIO, *, limits: Limits
) -> None:
    from medloop.core.prediction.answer_formats import writer
    from medloop.errors import NotFoundError
    from medloop.serving import classify

    labels = served.predictor.metadata.labels
    write, written = writer(form, to, labels=labels, model_version=served.version), 0
    with counter(quiet=to is sys.stdout and sys.stdout.isatty()) as advance:
        flushed_at = time.monotonic()
        for answer in classify(served.predictor, inputs, limits=limits):
            write(answer)
            written += 1
            advance()
            if time.monotonic() - flushed_at > FLUSH_EVERY_S:
                to.flush()
                flushed_at = time.monotonic()
    to.flush()
    if not written:
        raise NotFoundError("There are no files in what was given.")


def _limits(settings: Settings) -> Limits:
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


def correct(
    path: Annotated[Path, typer.Argument(help="Image or DICOM file.")],
    label: Annotated[
        str, typer.Option(help=f"Right class, or `{none_of_these.WORD}` for none of the classes.")
    ],
    note: Annotated[str, typer.Option(help="Remark for the reviewer.")] = "",
    as_user: Annotated[
        str, typer.Option("--as", metavar="USER", help="Who corrects; by default MEDLOOP_USER.")
    ] = "",
    frame: Annotated[
        int | None, typer.Option(help="Frame of a multi-frame file, counted from 0.")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait until the correction is stored.")] = True,
    yes: Annotated[
        bool, typer.Option("--yes", help="Confirm that the picture names no patient.")
    ] = False,
) -> None:
    """Record the right class of an image, so that the next model learns it.

    Only the pixels are kept: no file name, no EXIF, no DICOM tag. The correction is on this
    machine's disk before any server is asked. The command prints **stored** once it is in S3;
    otherwise the running stack, or the next `medloop` process, sends it. A repetition changes
    nothing.

    Examples: `medloop correct scan.dcm --label ChestCT`,
    `medloop correct cat.jpg --label none --no-wait`
    """
    from medloop.jobs.correct import correct as record
    from medloop.jobs.correct import explain_weight
    from medloop.wiring import connect

    context = connect()
    image = _decoded(path, context.settings, frame)
    _confirm(image, yes=yes)
    served = _served_here(context, label)
    prediction = served.answer(image).prediction if served else None
    given, who = none_of_these.parse(label), as_user or context.settings.user
    by_reviewer = who == context.settings.user  # who could type `medloop review approve` as well
    receipt = record(
        context,
        image=image,
        given_label=given,
        prediction=prediction,
        model_version=served.version if served else None,
        who=who,
        by_reviewer=by_reviewer,
        source="cli",
        note=note,
    )
    repeated = "You have said so before; nothing has changed."
    say(repeated if receipt.duplicate else "Saved on this machine.", err=True)
    if weight := explain_weight(prediction, given, by_reviewer=by_reviewer):
        say(weight, err=True)
    stored = receipt.state == "stored" or (wait and _stored_in_time(context, receipt))
    say("stored" if stored else "saved here, will be stored")


def _decoded(path: Path, settings: Settings, frame: int | None) -> DecodedImage:
    from medloop.core.imaging.decode import decode
    from medloop.errors import NotFoundError
    from medloop.stores.inputs import read_file

    try:
        data = read_file(str(path), _limits(settings).max_bytes)
    except OSError as error:
        raise NotFoundError(f"{path} cannot be read: {error.strerror}.") from error
    return decode(data, limits=_limits(settings), frame=frame)


def _confirm(image: DecodedImage, *, yes: bool) -> None:
    """Have a person look at a picture that may name a patient."""
    from medloop.errors import MedloopError

    for warning in image.warnings:
        warn(warning)
    if image.needs_clearance and not yes:
        if not sys.stdin.isatty():
            raise MedloopError(
                "Nothing is stored: look at the picture, and add --yes if it names no patient."
            )
        typer.confirm("Store it? It names no patient", abort=True, err=True)


def _served_here(context: Context, label: str) -> Served | None:
    """Return the model cached on this machine, if any, and check the label.

    A server is asked only about a label that nothing on this machine knows.
    """
    from dataclasses import replace

    from medloop.errors import MedloopError, NotFoundError
    from medloop.serving import Champion
    from medloop.stores.datasets import DatasetStore
    from medloop.wiring import open_champion

    settings = context.settings
    here = replace(context, datasets=DatasetStore(settings.home))
    cached = Champion(None, settings.home / "models", poll_s=settings.poll_s)
    try:
        served, labels = _served(here, cached)
    except NotFoundError:  # neither a model nor the base data set is on this machine
        served, labels = None, ()
    if label not in (*labels, none_of_these.WORD):
        served, labels = _served(context, open_champion(context))
    if label not in (*labels, none_of_these.WORD):
        known = ", ".join(labels)
        raise MedloopError(
            f"There is no class {label!r}: give one of {known}, or {none_of_these.WORD}."
        )
    return served


def _served(context: Context, champion: Champion) -> tuple[Served | None, Sequence[str]]:
    """Return the model and the classes; without a model, those of the base data set."""
    from medloop.serving import NoModelError

    try:
        served = champion.current()
    except NoModelError:
        return None, context.datasets.labels(context.settings.base_dataset)
    return served, served.predictor.metadata.labels


def _stored_in_time(context: Context, receipt: Receipt) -> bool:
    """Send what waits, and see whether this correction gets through within a few seconds."""
    context.sender.start()
    stored = context.sender.settle(receipt.event_id, STORED_WITHIN_S) == "stored"
    context.sender.stop(timeout_s=1.0 if stored else 0.0)  # a frozen store is not waited for
    return stored
