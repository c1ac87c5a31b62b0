"""`medloop predict` and `medloop correct`: what an image shows, and what it should have said."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TextIO

import typer

from medloop.core.prediction.answer_formats import Format

if TYPE_CHECKING:
    from medloop.core.imaging.decode import DecodedImage, Limits
    from medloop.core.prediction.predictor import Prediction
    from medloop.jobs.context import Context
    from medloop.serving import Champion, Served
    from medloop.settings import Settings
    from medloop.stores.inputs import Input
    from medloop.stores.outbox import Receipt

NONE_OF_THESE: Final = "none"
STORED_WITHIN_S: Final = 10.0
CHECK_EVERY_S: Final = 0.02
FLUSH_EVERY_S: Final = (
    0.5  # a table grows before one's eyes; flushing each line would cost more than predicting
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("predict")(predict)
    app.command("correct")(correct)


def predict(
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Files, folders, globs, zip archives, `s3://bucket/prefix`, or `-` for a list of paths."
        ),
    ],
    form: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.TABLE,
    output: Annotated[
        Path | None, typer.Option(help="Write to this file instead of standard output.")
    ] = None,
) -> None:
    """Say what images show: one answer a line, in the order of the input.

    JPEG, PNG, BMP, TIFF, WebP, GIF and DICOM are told apart by their content. A file that cannot be read gets a line
    with the reason, and the rest goes on. `verdict` is **confident**, **unsure**, or **unknown**: none of the
    classes; `label` is then the nearest class, in brackets in a table.

    Examples: `medloop predict scans/`, `medloop predict "in/**/*.dcm" --format jsonl`,
    `medloop predict archive.zip --format csv --output answers.csv`, `find . -name '*.png' | medloop predict -`
    """
    from medloop.settings import load_settings

    settings = load_settings()
    champion = _champion(settings)
    try:
        served = champion.current()
        if served.notice:
            typer.secho(f"medloop: {served.notice}", fg=typer.colors.YELLOW, err=True)
        inputs = _inputs(
            settings, paths
        )  # before the output is opened: a path that names nothing leaves no file
        with _open_output(output) as to:
            _predict_all(served, inputs, form, to, limits=_limits(settings))
    except (
        BrokenPipeError
    ):  # the reader, `head` perhaps, has seen enough; Python would complain at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _champion(settings: Settings) -> Champion:
    from medloop.serving import Champion
    from medloop.stores.registry import Registry

    return Champion(Registry(settings), settings.home / "models", poll_s=settings.poll_s)


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
    with _progress(quiet=to is sys.stdout and sys.stdout.isatty()) as advance:
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


@contextlib.contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[], None]]:
    """A counter on stderr, where that is a terminal and the answers do not scroll by on it."""
    if quiet or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.completed:.0f} images"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda: bar.advance(task)


def correct(
    path: Annotated[Path, typer.Argument(help="The image or DICOM file.")],
    label: Annotated[str, typer.Option(help="The right class, or `none`: none of the classes.")],
    note: Annotated[str, typer.Option(help="A remark for the reviewer.")] = "",
    as_user: Annotated[
        str, typer.Option("--as", metavar="USER", help="Who says so; by default the setting.")
    ] = "",
    frame: Annotated[
        int | None, typer.Option(help="Which frame of a multi-frame file, from 0.")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait until it is stored.")] = True,
    yes: Annotated[
        bool, typer.Option("--yes", help="The picture shows no name of a patient: don't ask.")
    ] = False,
) -> None:
    """Say what an image shows, so that the next model learns it.

    Only the pixels are kept: no file name, no EXIF, no DICOM tag. Prints **stored** when it is stored; otherwise it is
    safe on this machine and sent by the next `medloop` process or page that runs. Doing it twice changes nothing.

    Examples: `medloop correct scan.dcm --label ChestCT`, `medloop correct cat.jpg --label none --no-wait`
    """
    from medloop.jobs.correct import correct as record
    from medloop.wiring import connect

    context = connect()
    image = _decoded(path, context.settings, frame)
    _confirm(image, yes=yes)
    prediction, version = _predicted(context, image, label)
    given, who = None if label == NONE_OF_THESE else label, as_user or context.settings.user
    receipt = record(
        context,
        image=image,
        given_label=given,
        prediction=prediction,
        model_version=version,
        who=who,
        source="cli",
        note=note,
    )
    if receipt.duplicate:
        typer.echo("You have said so before; nothing has changed.", err=True)
    stored = receipt.state == "stored" or (wait and _stored_in_time(context, receipt))
    typer.echo("stored" if stored else "saved here, will be stored")


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
    """A picture that may name a patient is kept only when a person has looked at it."""
    from medloop.errors import MedloopError

    for warning in image.warnings:
        typer.secho(f"medloop: {warning}", fg=typer.colors.YELLOW, err=True)
    if image.needs_clearance and not yes:
        if not sys.stdin.isatty():
            raise MedloopError(
                "Nothing is stored: look at the picture, and add --yes if it names no patient."
            )
        typer.confirm("Store it? It names no patient", abort=True, err=True)


def _predicted(
    context: Context, image: DecodedImage, label: str
) -> tuple[Prediction | None, str | None]:
    """What the champion says, and its version; nothing where there is no model. Checks the label on the way."""
    from medloop.errors import MedloopError
    from medloop.serving import NoModelError

    try:
        served = _champion(context.settings).current()
    except NoModelError as error:
        typer.secho(f"medloop: {error}", fg=typer.colors.YELLOW, err=True)
        labels, found, version = (
            context.datasets.get(context.settings.base_dataset).labels,
            None,
            None,
        )
    else:
        labels, version = served.predictor.metadata.labels, served.version
        found = served.answer(image).prediction
    if label not in (*labels, NONE_OF_THESE):
        raise MedloopError(
            f"There is no class {label!r}: give one of {', '.join(labels)}, or {NONE_OF_THESE}."
        )
    return found, version


def _stored_in_time(context: Context, receipt: Receipt) -> bool:
    """Send what waits, and see whether this one gets through within a few seconds."""
    until = time.monotonic() + STORED_WITHIN_S
    context.sender.start()
    try:
        while context.outbox.state(receipt.event_id) != "stored":
            if time.monotonic() > until:
                return False
            time.sleep(CHECK_EVERY_S)
        return True
    finally:
        context.sender.stop()
