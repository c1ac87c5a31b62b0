"""The border to the terminal: whatever the commands print passes here, and none of it acts."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from medloop.core.printable import printable
from medloop.progress import silent

if TYPE_CHECKING:
    from rich.text import Text

    from medloop.progress import Progress

WIDEST = 10_000  # columns of a table in a pipe, where scripts want each row on one line

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
By = Annotated[
    str | None, typer.Option(help="Who decides this; by default MEDLOOP_USER or the login.")
]


def say(text: str, *, err: bool = False, colour: str | None = None) -> None:
    """Print a line."""
    typer.secho(printable(text), err=err, fg=colour)


def remark(text: str) -> None:
    """Print a line beside the answer, on stderr; `--quiet` leaves it out."""
    if not is_quiet():
        say(text, err=True)


def warn(text: str) -> None:
    """Print a warning beside the answer; `--quiet` leaves it out."""
    if not is_quiet():
        say(f"medloop: {text}", err=True, colour=typer.colors.YELLOW)


def is_quiet() -> bool:
    """Tell whether `--quiet` was given: then warnings are not logged either."""
    return not logging.getLogger("medloop").isEnabledFor(logging.WARNING)


def say_json(value: Any) -> None:
    """Print facts as one JSON document, the same shape for each command: an object or a list."""
    typer.echo(json.dumps(value, indent=1))


def shorten(identifier: str, digits: int) -> str:
    """Cut an identifier for a person's eyes; scripts get all of it."""
    return identifier[:digits] if sys.stdout.isatty() else identifier


def mark(passed: bool | None, text: str) -> Text:
    """Colour a verdict green or red; one that is None stays as it is."""
    from rich.text import Text

    return Text(printable(text), {True: "green", False: "red", None: ""}[passed])


def show_table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    *,
    title: str | None = None,
    numbers: Sequence[str] = (),
    totals: Sequence[str] = (),
    err: bool = False,
) -> None:
    """Print a table; the columns in `numbers` are set to the right, `totals` stand below.

    On stderr it is a remark.
    """
    if err and is_quiet():
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(printable(title)) if title else None,
        box=box.SIMPLE,
        pad_edge=False,
        show_footer=bool(totals),
    )
    for i, heading in enumerate(headings):
        justify: Literal["left", "right"] = "right" if heading in numbers else "left"
        table.add_column(heading, totals[i] if totals else "", justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) if isinstance(cell, str) else cell for cell in row))
    piped = not (sys.stderr if err else sys.stdout).isatty() and not os.environ.get("COLUMNS")
    Console(stderr=err, width=WIDEST if piped else None).print(table)


@contextmanager
def progress_bar(*, quiet: bool = False) -> Iterator[Progress]:
    """Show a bar on stderr, gone when the work is done."""
    if quiet or is_quiet():
        yield silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda share, doing: bar.update(task, completed=share, description=printable(doing))


@contextmanager
def counter(*, quiet: bool) -> Iterator[Callable[[], None]]:
    """Count images on stderr, if that is a terminal and the answers do not scroll by on it."""
    if quiet or is_quiet() or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.completed:.0f} images"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda: bar.advance(task)
