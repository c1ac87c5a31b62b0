"""`medloop acceptance …`: a site's own labelled images that every gate is held to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medloop.cli.terminal import AsJson, By, progress_bar, say, say_json, show_table

Name = Annotated[str, typer.Argument(help="Name of the set: small letters, digits, - and _.")]


def register(app: typer.Typer) -> None:
    """Add `medloop acceptance` and its commands."""
    sets = typer.Typer(
        name="acceptance",
        no_args_is_help=True,
        help="Your own labelled images: nothing trains on them, and every gate is held to them.",
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
    """Declare an acceptance set: nothing trains on its images, and each gate reports on it.

    A challenger below the floor is refused, unless the champion does no better. The same name again
    replaces the set. Each folder must be a label of the champion; `--new-class Knee` lets in a
    class that is yet to be learned. Images that a version was trained on already, or on near
    copies, are left out.

    Example: `medloop acceptance add ct-siemens scans.zip --floor 0.95`
    """
    from dataclasses import asdict

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
        say_json(asdict(result))
        return
    say(f"Acceptance set {result.name}: {result.images} images, floor {100 * result.floor:.1f} %.")
    if result.learned:
        trained_on = "a version was trained on them, or on near copies"
        say(
            f"Among them are {result.learned} that flatter it: {trained_on}."
            if keep_learned
            else f"{result.learned} more were left out: {trained_on}. --keep-learned keeps them."
        )
    for item in result.unchecked:
        say(f"Not compared with {item}.", err=True)


def list_sets(as_json: AsJson = False) -> None:
    """Show the acceptance sets that count.

    Example: `medloop acceptance list`
    """
    from dataclasses import asdict

    from medloop.wiring import connect

    found = connect().acceptance_sets.declarations()
    if as_json:
        say_json([asdict(item) for item in found])
        return
    if not found:
        say("There are no acceptance sets: `medloop acceptance add NAME PATH` declares one.")
        return
    headings = ("Name", "Images", "Floor", "Declared", "By")
    rows = [
        (item.name, str(item.images), f"{item.floor:.1%}", item.at[:16], item.by) for item in found
    ]
    show_table(headings, rows, numbers=("Images", "Floor"))


def withdraw(name: Name, by: By = None) -> None:
    """Stop holding gates to a set. Its images stay in S3, and so does what was said about it.

    Example: `medloop acceptance withdraw ct-siemens`
    """
    from medloop.jobs.acceptance_sets import withdraw as job
    from medloop.wiring import connect

    context = connect()
    job(context, name=name, by=by or context.settings.user)
    say(f"Acceptance set {name} no longer counts.")
