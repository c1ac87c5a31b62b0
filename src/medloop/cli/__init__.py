"""The `medloop` command: one typer application, put together from one file per topic.

Owns the global options and the look of errors. A topic's file exposes `register(app)` and imports
what is heavy inside its commands only, so that `medloop --help` stays quick.
"""

from __future__ import annotations

import logging
import sys
from importlib.metadata import version

import typer

from medloop.cli import classify, correct, corrections, data, learning
from medloop.cli.terminal import say
from medloop.core.printable import log_to_stderr
from medloop.errors import MedloopError
from medloop.missing_extras import what_is_missing
from medloop.stack import commands

log = logging.getLogger("medloop")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"medloop {version('medloop')}")
        raise typer.Exit


def _options(
    verbose: bool = typer.Option(
        False, "--verbose", "-v", help="Log more, and show where an error comes from."
    ),
    quiet: bool = typer.Option(
        False, "--quiet", "-q", help="Print answers and errors alone: no remarks, no progress."
    ),
    _version: bool = typer.Option(
        False,
        "--version",
        callback=_print_version,
        is_eager=True,
        help="Print the version and stop.",
    ),
) -> None:
    """Classify medical images by what they show, and learn from every correction.

    Start everything with `medloop up`, then open the address that it prints.
    """
    log_to_stderr()
    level = logging.ERROR if quiet else logging.WARNING
    log.setLevel(logging.DEBUG if verbose else level)


def build_app() -> typer.Typer:
    """Put the whole command line together; the documentation is generated from it."""
    app = typer.Typer(
        name="medloop",
        no_args_is_help=True,
        rich_markup_mode=None,  # rich takes longer to import than all else of `--help`
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        pretty_exceptions_enable=False,  # its tracebacks could show a secret among the locals
    )
    app.callback()(_options)
    for topic in (commands, classify, correct, corrections, learning, data):
        topic.register(app)
    _list_whole_sentences(app)
    return app


def _list_whole_sentences(app: typer.Typer) -> None:
    """Describe each command by its first sentence, which would be cut off otherwise."""
    for command in app.registered_commands:
        about = " ".join((command.callback.__doc__ or "").split("\n\n")[0].split())
        command.short_help = about.partition(". ")[0].rstrip(".") + "."
    for group in app.registered_groups:
        if group.typer_instance:
            group.short_help = group.typer_instance.info.help
            _list_whole_sentences(group.typer_instance)


def main() -> None:
    """Run the command line; an error that medloop foresaw is a red sentence and exit code 1."""
    try:
        build_app()()
    except (MedloopError, ModuleNotFoundError) as error:
        sentence = str(error) if isinstance(error, MedloopError) else what_is_missing(error)
        if sentence is None or log.isEnabledFor(logging.DEBUG):
            raise
        for i, line in enumerate(f"medloop: {sentence}".splitlines()):
            say(line if i == 0 else f"  {line}", err=True, colour=typer.colors.RED)
        sys.exit(1)
