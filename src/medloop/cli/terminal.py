"""What commands share on a terminal: people's text, and a progress bar."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from medloop.progress import Progress


def plain(text: str) -> str:
    """Clean text of anything that rich would take as markup or a terminal as a command."""
    from rich.markup import escape

    return escape("".join(letter if letter.isprintable() else " " for letter in text))


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Show a progress bar on stderr, gone when it is done."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda share, doing: bar.update(task, completed=share, description=doing)
