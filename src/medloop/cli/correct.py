"""`medloop correct`: what one image, or many at once, should have been called."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import typer

from medloop.cli import completion
from medloop.cli.classify import find_inputs, limits_of
from medloop.cli.terminal import AsJson, progress_bar, remark, say, say_json, warn
from medloop.core import none_of_these

if TYPE_CHECKING:
    from medloop.cli.labelled_inputs import Find, Labelled
    from medloop.core.imaging.decode import DecodedImage
    from medloop.jobs.context import Context
    from medloop.progress import Progress
    from medloop.serving import Champion, Classified, Served
    from medloop.stores.inputs import Input
    from medloop.stores.outbox import Receipt

PATIENCE_S: Final = 10.0  # for the store, while nothing gets through
AT_ONCE: Final = 8  # decoded pictures in memory, each of up to 64 megapixels
FAILURES_SHOWN: Final = 20


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("correct")(correct)


def correct(
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="Files, folders, zips, as for `predict`; `-` reads a list of paths."),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            help=f"Right class, or `{none_of_these.WORD}` for none of the classes. Without it, "
            "each image's folder names its class.",
            autocompletion=completion.classes,
        ),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="CSV",
            help="Table with the columns `path` and `label`, perhaps `note`; `-` is stdin.",
            allow_dash=True,
        ),
    ] = None,
    note: Annotated[str, typer.Option(help="Remark for the reviewer.")] = "",
    as_user: Annotated[
        str, typer.Option("--as", metavar="USER", help="Who corrects; by default MEDLOOP_USER.")
    ] = "",
    frame: Annotated[
        int | None, typer.Option(help="Frame of a multi-frame file, counted from 0.")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait until the corrections are stored.")] = True,
    yes: Annotated[
        bool, typer.Option("--yes", help="Confirm that the pictures name no patient.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Record the right class of images, so that the next model learns it.

    Only the pixels are kept: no file name, no EXIF, no DICOM tag. A correction is on this machine's
    disk before any server is asked. The command prints "stored" once it is in S3; otherwise the
    running stack, or the next `medloop` process, sends it. A repetition changes nothing.

    A class is found without regard to case, and by the name that the page shows. Of many images,
    those that cannot be corrected are named, and the others are done; the exit code is then 1.

    Examples: `medloop correct scan.dcm --label ChestCT`, `medloop correct scans/ --label "Chest
    X-ray"`, `medloop correct sorted/` (a folder per class), `medloop correct --from labels.csv`
    """
    from medloop.wiring import connect

    context = connect()
    rows = _rows(paths or [], label, table, find_inputs(context.settings))
    alone = table is None and paths == [row.item.path for row in rows]
    served, labels = _model_here(context, {row.label for row in rows})
    recorder = _Recorder(
        context=context,
        served=served,
        labels=labels,
        who=as_user or context.settings.user,
        note=note,
        frame=frame,
        yes=yes,
        alone=alone,
    )
    with progress_bar(quiet=alone) as report:
        done = recorder.record(rows, report)
    if alone:
        repeated = "You have said so before; nothing has changed."
        remark(repeated if done.repeated else "Saved on this machine.")
    for sentence, count in done.weights.items():
        remark(sentence if alone else f"{count} of them: {sentence}")
    stored = _stored(context, done.event_ids) if wait else 0
    if as_json:
        say_json(done.as_record(stored))
    elif alone:
        say("stored" if stored else "saved here, will be stored")
    else:
        _tell(done, stored)
    if context.settings.review == "all" and done.event_ids and not as_json:
        remark("A reviewer decides before it is learned, as about all here (MEDLOOP_REVIEW=all).")
    if done.failed:
        raise typer.Exit(1)


def _rows(paths: list[str], label: str | None, table: Path | None, find: Find) -> list[Labelled]:
    from medloop.cli.labelled_inputs import from_paths, from_table
    from medloop.errors import MedloopError, NotFoundError

    if (table is None) == (not paths):
        raise MedloopError("Give images or folders, or a table with --from.")
    if table is None:
        rows = list(from_paths(paths, label, find))
    else:
        try:
            with nullcontext(sys.stdin) if str(table) == "-" else table.open(newline="") as lines:
                rows = list(from_table(lines, find))
        except (OSError, UnicodeError, csv.Error) as error:
            raise MedloopError(f"The table {table} cannot be read: {error}.") from error
    if not rows:
        raise NotFoundError("There are no images in what was given.")
    return rows


@dataclass(slots=True)
class _Outcome:
    """The rows' ends: stored, repeated or failed."""

    event_ids: list[str] = field(default_factory=list)
    labels: Counter[str | None] = field(default_factory=Counter)
    weights: Counter[str] = field(default_factory=Counter)  # what those need to be learned
    contradicted: int = 0  # the model had said something else
    repeated: int = 0
    failed: list[tuple[Labelled, str]] = field(default_factory=list)

    def add(self, receipt: Receipt, label: str | None, answer: Classified | None) -> None:
        self.event_ids.append(receipt.event_id)
        self.labels[label] += 1
        self.repeated += receipt.duplicate
        if answer:
            said = None if answer.prediction.verdict == "unknown" else answer.prediction.label
            self.contradicted += said != label

    def as_record(self, stored: int) -> dict[str, Any]:
        failed = [{"path": row.item.path, "line": row.line, "error": e} for row, e in self.failed]
        counts = {"saved": len(self.event_ids), "stored": stored, "repeated": self.repeated}
        return {**counts, "contradicted": self.contradicted, "failed": failed}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recorder:
    """Saves corrections in the order of the rows, and decodes several at a time."""

    context: Context
    served: Served | None
    labels: Sequence[str]
    who: str
    note: str
    frame: int | None
    yes: bool
    alone: bool  # one picture: ask about it, and fail with its error

    def record(self, rows: Sequence[Labelled], progress: Progress) -> _Outcome:
        from concurrent.futures import ThreadPoolExecutor

        from medloop.errors import MedloopError

        done = _Outcome()
        with ThreadPoolExecutor() as pool:
            for start in range(0, len(rows), AT_ONCE):
                batch = rows[start : start + AT_ONCE]
                pictures = [pool.submit(self._read, row.item) for row in batch]
                for number, (row, picture) in enumerate(zip(batch, pictures, strict=True), start):
                    try:
                        self._save(row, *picture.result(), done)
                    except (MedloopError, OSError) as error:
                        if self.alone:
                            raise
                        done.failed.append((row, _sentence(error)))
                    progress((number + 1) / len(rows), f"{number + 1} of {len(rows)} images")
        return done

    def _read(self, item: Input) -> tuple[DecodedImage, Classified | None]:
        from medloop.core.imaging.decode import decode

        data = cast(bytes, item.read())  # arrays come from Python alone
        image = decode(data, limits=limits_of(self.context.settings), frame=self.frame)
        return image, self.served.answer(image) if self.served else None

    def _save(
        self, row: Labelled, image: DecodedImage, answer: Classified | None, done: _Outcome
    ) -> None:
        from medloop.core.class_names import find_class
        from medloop.jobs.correct import correct as job
        from medloop.jobs.correct import explain_weight

        label = find_class(row.label, self.labels)
        self._clear(image)
        prediction = answer.prediction if answer else None
        by_reviewer = self.who == self.context.settings.user  # could type `review approve` as well
        receipt = job(
            self.context,
            image=image,
            given_label=label,
            prediction=prediction,
            model_version=answer.version if answer else None,
            who=self.who,
            by_reviewer=by_reviewer,
            source="cli",
            note=row.note or self.note,
        )
        done.add(receipt, label, answer)
        if weight := explain_weight(prediction, label, by_reviewer=by_reviewer):
            done.weights[weight] += 1

    def _clear(self, image: DecodedImage) -> None:
        """Have a person look at a picture that may name a patient."""
        from medloop.errors import MedloopError

        if self.alone:
            for warning in image.warnings:
                warn(warning)
        if image.needs_clearance and not self.yes:
            if not (self.alone and sys.stdin.isatty()):
                raise MedloopError(
                    "Nothing is stored: look at the picture, and add --yes if it names no patient."
                )
            typer.confirm("Store it? It names no patient", abort=True, err=True)


def _sentence(error: Exception) -> str:
    """Say what went wrong; an OSError's own text repeats the path."""
    text = error.strerror if isinstance(error, OSError) else str(error)
    return text or type(error).__name__


def _tell(done: _Outcome, stored: int) -> None:
    """Print the bad rows, then the sum."""
    from medloop.core.class_names import class_name

    for row, why in done.failed[:FAILURES_SHOWN]:
        line = f"line {row.line}, " if row.line else ""
        say(f"  {line}{row.item.path}: {why}", err=True)
    if len(done.failed) > FAILURES_SHOWN:
        say(f"  … and {len(done.failed) - FAILURES_SHOWN} more; --json lists all", err=True)
    saved, waiting = len(done.event_ids), len(done.event_ids) - stored
    counts = ", ".join(f"{class_name(label)} {n}" for label, n in done.labels.most_common())
    repeated = f", {done.repeated} of them said before" if done.repeated else ""
    images = "image" if saved == 1 else "images"
    say(f"{saved} {images} corrected{repeated}{': ' if counts else ''}{counts}.")
    parts = (
        (stored, "stored"),
        (waiting, "saved here, will be stored"),
        (len(done.failed), "not corrected"),
    )
    said = f" The model had said otherwise of {done.contradicted}." if done.contradicted else ""
    say(f"{', '.join(f'{count} {what}' for count, what in parts if count)}.{said}")


def find_label(context: Context, word: str) -> str | None:
    """Return the label that a typed class means; None for "none of these".

    Raises:
        UnknownClassError: There is no such class.
    """
    from medloop.core.class_names import find_class

    _, labels = _model_here(context, [word])
    return find_class(word, labels)


def _model_here(context: Context, said: Collection[str]) -> tuple[Served | None, Sequence[str]]:
    """Return the model cached on this machine, if any, and the classes.

    A server is asked only about a class that nothing on this machine knows.
    """
    from dataclasses import replace

    from medloop.core.class_names import find_class
    from medloop.errors import NotFoundError, UnknownClassError
    from medloop.serving import Champion
    from medloop.stores.datasets import DatasetStore
    from medloop.wiring import open_champion

    settings = context.settings
    here = replace(context, datasets=DatasetStore(settings.home))
    cached = Champion(None, settings.home / "models", poll_s=settings.poll_s)
    try:
        served, labels = _served(here, cached)
        for word in said:
            find_class(word, labels)
    except (NotFoundError, UnknownClassError):  # neither a model nor the base data set is here
        served, labels = _served(context, open_champion(context))
    return served, labels


def _served(context: Context, champion: Champion) -> tuple[Served | None, Sequence[str]]:
    """Return the model and the classes; without a model, those of the base data set."""
    from medloop.serving import NoModelError

    try:
        served = champion.current()
    except NoModelError:
        return None, context.datasets.labels(context.settings.base_dataset)
    return served, served.predictor.metadata.labels


def _stored(context: Context, event_ids: Sequence[str]) -> int:
    """Send what waits, and count what gets through; a store that is away is not waited for."""
    context.sender.start()
    patience_s, stored = PATIENCE_S, 0
    for event_id in event_ids:
        if context.sender.settle(event_id, patience_s) == "stored":
            stored += 1
        else:
            patience_s = 0.0
    context.sender.stop(timeout_s=1.0 if patience_s else 0.0)
    return stored
