"""`medloop acceptance …`: a site's own labelled images that every gate is held to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

By = Annotated[
    str | None, typer.Option(help="Who declares this; by default MEDLOOP_USER or the login.")
]
Name = Annotated[str, typer.Argument(help="Name of the set: small letters, digits, - and _.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add `medloop acceptance` and its commands."""
    sets = typer.Typer(
        name="acceptance",
        no_args_is_help=True,
        help="Sets of your own labelled images that nothing trains on and that every gate is held to.",
    )
    sets.command()(add)
    sets.command("list")(list_sets)
    sets.command()(withdraw)
    app.add_typer(sets)


def add(
    name: Name,
    path: Annotated[
        Path,
        typer.Argument(help="Zip or folder with a folder a class; `none` for images of no class."),
    ],
    floor: Annotated[
        float, typer.Option(min=0.01, max=1.0, help="Least share of right answers.")
    ] = 0.9,
    new_class: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LABEL",
            help="A class folder that the model is yet to learn; may be given again.",
        ),
    ] = None,
    keep_learned: Annotated[
        bool,
        typer.Option(
            "--keep-learned", help="Keep images that a version was trained on, or on near copies."
        ),
    ] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Declare an acceptance set. From then on nothing trains on its images, and each gate reports on it.

    A challenger below the floor is refused, unless the champion does no better. The same name again replaces the set.
    Each folder must be a label of the champion; `--new-class Knee` lets in a class that is yet to be learned. Images
    that a version was trained on already, or on near copies, are left out.

    Example: `medloop acceptance add ct-siemens scans.zip --floor 0.95`
    """
    from dataclasses import asdict

    from medloop.cli.terminal import progress_bar
    from medloop.jobs.acceptance_sets import add as job
    from medloop.wiring import connect

    context = connect()
    with progress_bar() as report:
        result = job(
            context,
            name=name,
            path=path,
            by=by or context.settings.user,
            floor=floor,
            new_classes=new_class or (),
            keep_learned=keep_learned,
            progress=report,
        )
    if as_json:
        typer.echo(json.dumps(asdict(result)))
        return
    typer.echo(
        f"Acceptance set {result.name}: {result.images} images, floor {100 * result.floor:.1f} %."
    )
    if result.learned:
        trained_on = "a version was trained on them, or on near copies"
        typer.echo(
            f"Among them are {result.learned} that flatter it: {trained_on}."
            if keep_learned
            else f"{result.learned} more were left out: {trained_on}. --keep-learned keeps them."
        )
    for item in result.unchecked:
        typer.echo(f"Not compared with {item}.", err=True)


def list_sets(as_json: AsJson = False) -> None:
    """Show the acceptance sets that count.

    Example: `medloop acceptance list`
    """
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from medloop.wiring import connect

    found = connect().acceptance_sets.declarations()
    if as_json:
        typer.echo(json.dumps([asdict(item) for item in found], indent=1))
        return
    if not found:
        typer.echo("There are no acceptance sets: `medloop acceptance add NAME PATH` declares one.")
        return
    table = Table("Name", "Images", "Floor", "Declared", "By")
    for item in found:
        table.add_row(
            item.name, str(item.images), f"{100 * item.floor:.1f} %", item.at[:16], item.by
        )
    Console().print(table)


def withdraw(name: Name, by: By = None) -> None:
    """Stop holding gates to a set. Its images stay in S3, and so does what was said about it.

    Example: `medloop acceptance withdraw ct-siemens`
    """
    from medloop.jobs.acceptance_sets import withdraw as job
    from medloop.wiring import connect

    context = connect()
    job(context, name=name, by=by or context.settings.user)
    typer.echo(f"Acceptance set {name} no longer counts.")
