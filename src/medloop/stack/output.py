"""Output of the service commands: prefixed log lines, progress bar, addresses, tables."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from medloop.core.printable import printable
from medloop.errors import MedloopError
from medloop.settings import load_named_settings, load_settings
from medloop.stack.plan import Address
from medloop.stack.process_events import Event
from medloop.stack.programs import executable
from medloop.stack.start_record import read_record
from medloop.stack.state_folder import StateFolder

if TYPE_CHECKING:
    from medloop.jobs.doctor import Finding
    from medloop.stack.status import ComponentStatus
    from medloop.stores.outbox import OutboxStatus

COLOURS = (
    *("cyan", "magenta", "blue", "yellow"),
    *("bright_cyan", "bright_magenta", "bright_blue", "green"),
)
MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failed": ("✗", "bold red")}
PREFIX_WIDTH = 21
ANSI = re.compile(r"\x1b\[[0-9;]*m")  # colours in the components' own logs
STEP = 0.1  # of progress, between two lines where there is no terminal for a bar


class StackOutput:
    """Events as lines; the first training is a bar on a terminal, and few lines elsewhere."""

    def __init__(self, file: TextIO | None = None) -> None:
        self._console = Console(file=file or sys.stderr, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._shown = -1.0
        self._components: list[str] = []

    @contextlib.contextmanager
    def progress(self) -> Iterator[None]:
        """Show progress events as a bar while it is open."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[what]}"),
            TimeElapsedColumn(),
        )
        with Progress(
            *columns, console=self._console, transient=True, disable=not self._console.is_terminal
        ) as bar:
            self._bar = bar
            yield
        self._bar = None

    def show(self, event: Event) -> None:
        """Show an event as one line or a step of the bar."""
        if event.kind == "progress":
            self._advance(event)
            return
        styles = {"log": "", "ready": "green", "trouble": "bold red"}
        line = self._prefix(event.component)
        line.append(printable(ANSI.sub("", event.text)), style=styles[event.kind])
        self._console.print(line)

    def say(self, text: str) -> None:
        """Print a line of medloop's own."""
        self._console.print(Text(text, style="bold"))

    def summary(self, addresses: Iterable[Address], *, detached: bool, passwords: Path) -> None:
        """Say where everything is; passwords on a terminal only, never in a log."""
        shown = self._console.is_terminal and not detached
        self._console.print()
        for address in addresses:
            line = Text(f"  {address.name:<8} ")
            line.append(address.url, style="bold underline" if address.name == "page" else "")
            login = f"   {address.login}" if address.login else ""
            if address.password:
                login += f" / {address.password}" if shown else f"; password in {passwords}"
            line.append(login, style="dim")
            self._console.print(line)
        command = _command()
        how = (
            f"`{command} status` looks, `{command} down` stops"
            if detached
            else "Ctrl-C stops everything"
        )
        self._console.print(f"\nReady: open the page. {how}.\n")

    def _advance(self, event: Event) -> None:
        if self._bar is not None and not self._bar.disable:
            if not self._bar.tasks:
                self._bar.add_task("First model", total=1.0, what="")
            self._bar.update(self._bar.tasks[0].id, completed=event.fraction, what=event.text)
        elif event.fraction >= self._shown + STEP or event.fraction >= 1:
            self._shown = event.fraction
            self.show(Event("log", event.component, f"{event.fraction:4.0%} {event.text}"))

    def _prefix(self, component: str) -> Text:
        if component not in self._components:
            self._components.append(component)
        colour = COLOURS[self._components.index(component) % len(COLOURS)]
        return Text(f"{component:<{PREFIX_WIDTH}} | ", style=colour)


def _command() -> str:
    """Find what to type for `medloop`: its path, where a shell would not find it."""
    script = executable("medloop")
    return "medloop" if shutil.which("medloop") == script else os.path.relpath(script)


def print_status(folder: StateFolder, components: Iterable[ComponentStatus]) -> None:
    """Print the table of `medloop status`, then addresses and what serves."""
    console = Console(highlight=False)
    table = Table(
        "component", "state", "process", "up for", "memory", "restarts", box=None, pad_edge=False
    )
    total_bytes = 0
    for component in components:
        total_bytes += component.memory_bytes or 0
        table.add_row(
            component.name,
            Text(component.state, style="green" if component.is_well else "bold red"),
            str(component.pid or ""),
            _duration(component.uptime_s),
            _mebibytes(component.memory_bytes),
            str(component.restarts or ""),
        )
    console.print(table)
    if total_bytes:
        console.print(f"together {_mebibytes(total_bytes)}\n")
    for address in read_record(folder).addresses:
        console.print(f"{address.name:<9} {address.url}", soft_wrap=True)
    for name, value in (*_serving(), *_restart(folder)):
        console.print(f"{name:<9} {printable(value)}", soft_wrap=True, markup=False)


def describe_status(
    folder: StateFolder, components: Iterable[ComponentStatus]
) -> dict[str, object]:
    """Return what `print_status` prints, for scripts."""
    return {
        "components": [
            {**asdict(component), "is_well": component.is_well} for component in components
        ],
        "addresses": {address.name: address.url for address in read_record(folder).addresses},
        **dict(_serving()),
        "restart": [changed for _, changed in _restart(folder)],
    }


def _serving() -> Iterator[tuple[str, str]]:
    from medloop.jobs.alias_moves import explain_champion
    from medloop.jobs.left_out import describe
    from medloop.jobs.review import describe_queue
    from medloop.wiring import connect

    context = connect(load_settings())
    try:
        version = context.registry.version_of("champion")
        yield "champion", f"version {version}" if version else "none"
        if wrong := explain_champion(context):
            yield "alias", wrong
    except MedloopError as error:
        yield "champion", f"unknown: {error}"
    yield "outbox", _outbox(context.outbox.status())
    if found := describe(context):
        yield "events", found
    try:
        if waiting := describe_queue(context):
            yield "review", waiting
    except MedloopError:
        pass  # the lines above say what is away


def _restart(folder: StateFolder) -> Iterator[tuple[str, str]]:
    from medloop.stack.status import changed_settings

    for changed in changed_settings(folder, load_named_settings()):
        yield "restart", f"{changed}: `medloop down`, then `medloop up`"


def _outbox(status: OutboxStatus) -> str:
    if not status.pending:
        return "empty: every correction is stored"
    why = status.last_error or "not tried yet"
    return f"{status.pending} waiting to be stored since {status.oldest_at}: {why}"


def print_check(check: Finding) -> None:
    """Print a finding, and what to do about it."""
    console = Console(highlight=False, soft_wrap=True)
    mark, style = MARKS[check.outcome]
    line = Text(f"{mark} {check.name:<9} ", style=style)
    line.append(printable(check.says), style="")
    console.print(line)
    if check.fix:
        console.print(f"  {'':<9} → {printable(check.fix)}", markup=False)


def _duration(seconds: float) -> str:
    if seconds < 1:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    shown = [f"{value} {unit}" for value, unit in parts if value]
    return " ".join(shown[:2])


def _mebibytes(size_bytes: int | None) -> str:
    return "" if size_bytes is None else f"{size_bytes / 2**20:.0f} MiB"
