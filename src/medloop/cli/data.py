"""`medloop data …`: bring data sets in, look at them, choose and share them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.progress import TaskID
    from rich.table import Table

    from medloop.core.data.data_summary import ClassSummary
    from medloop.stores.dataset_import import Imported
    from medloop.stores.datasets import DatasetStore
    from medloop.stores.public_set import Expected

SKIPPED_SHOWN = 5


def register(app: typer.Typer) -> None:
    """Add `medloop data` and its commands."""
    data = typer.Typer(
        name="data",
        no_args_is_help=True,
        help="Bring data sets in, look at them, choose and share them. Without any, the bundled sample is used.",
    )
    data.command("import")(import_data)
    data.command("fetch")(fetch)
    data.command("info")(info)
    data.command("list")(list_data)
    data.command("use")(use)
    data.command("publish")(publish)
    app.add_typer(data)


def import_data(
    path: Annotated[
        Path,
        typer.Argument(help="A zip or folder with a folder a class, or a MedMNIST-style .npz."),
    ],
    groups: Annotated[
        Path | None,
        typer.Option(
            help="CSV with the columns file and group. By default groups.csv inside, else computed."
        ),
    ] = None,
    labels: Annotated[
        str, typer.Option(help="Class names of an .npz, in order, separated by commas.")
    ] = "",
    folder: Annotated[
        str | None,
        typer.Option(
            help="The folder that holds the class folders, where there are others beside it."
        ),
    ] = None,
) -> None:
    """Read a data set into the state folder and print its id.

    Unreadable files are skipped and counted. Nothing is unpacked to disk.

    Examples: `medloop data import archive.zip`, `medloop data import scans/ --groups patients.csv`,
    `medloop data import organamnist_64.npz --labels bladder,femur,heart`
    """
    from medloop.stores.dataset_import import ImportOptions

    names = tuple(label.strip() for label in labels.split(",") if label.strip())
    store = _store()
    with _bars() as report:
        imported = store.import_path(path, report, options=ImportOptions(groups, names, folder))
    _tell(imported)


def fetch(
    url: Annotated[
        str | None, typer.Option(help="Another address of the same zip, such as a mirror of yours.")
    ] = None,
    sha256: Annotated[
        str | None,
        typer.Option(
            help="SHA-256 of the zip: vouches for it in place of the check of its content."
        ),
    ] = None,
    groups: Annotated[
        Path | None, typer.Option(help="CSV with the columns file and group.")
    ] = None,
) -> None:
    """Download the full Medical MNIST (58,954 images, about 90 MB) from GitHub, verify it and print its id.

    Goes on where an interrupted download stopped. What is verified, and how, is in docs/data.md.

    Example: `medloop data fetch`
    """
    from medloop.errors import StoreUnavailableError
    from medloop.settings import load_settings
    from medloop.stores import public_set
    from medloop.stores.dataset_import import ImportOptions
    from medloop.stores.download import download

    address = url or public_set.URL
    file = load_settings().home / "downloads" / "medical-mnist.zip"
    try:
        with _bars(unit="bytes") as report:
            found = download(address, file, sha256=sha256, progress=partial(report, "Downloading"))
    except StoreUnavailableError as error:
        raise StoreUnavailableError(
            f"{error} Without a network: everything works with the bundled sample; or download {address} elsewhere and "
            f"run `medloop data import FILE --folder {public_set.FOLDER}`."
        ) from error
    if sha256 is None:
        note = _verified(
            file,
            public_set.medical_mnist(),
            named=public_set.published_tree() if url is None else None,
        )
    else:
        note = f"SHA-256 {found} as given"
    with _bars() as report:
        options = ImportOptions(groups=groups, folder=public_set.FOLDER)
        imported = _store().import_path(file, report, options=options, note=f"{address}; {note}")
    file.unlink()
    _tell(imported)
    typer.echo(f"Verified: {note}", err=True)


def _verified(file: Path, expected: Expected, *, named: str | None) -> str:
    """What was verified, in words; the download is thrown away where it is something else."""
    from medloop.errors import DatasetError
    from medloop.stores.public_set import verify

    try:
        with _bars() as report:
            tree = verify(file, expected, tree=named, progress=partial(report, "Verifying"))
    except DatasetError:
        file.unlink()
        raise
    says = (
        "as GitHub names it for the pinned commit"
        if named
        else "which could not be compared with GitHub's"
    )
    return f"counts by class, {len(expected.blobs):,} files byte by byte, git tree {tree}, {says}"


def info(
    dataset_id: Annotated[
        str | None, typer.Argument(help="By default the one in use.", metavar="[ID]")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write a picture: sample images and grey values by class.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show a data set: images, groups, exact duplicates, blanks and the split, by class.

    Examples: `medloop data info`, `medloop data info --plot classes.png`
    """
    from medloop.core.data.data_summary import picture, summarise
    from medloop.settings import load_settings

    store = _store()
    dataset = store.get(dataset_id or load_settings().base_dataset)
    about = store.info(dataset.id)
    summaries = summarise(dataset)
    if as_json:
        from dataclasses import asdict

        typer.echo(
            json.dumps(
                {**asdict(about), "classes": [asdict(summary) for summary in summaries]}, indent=1
            )
        )
    else:
        from rich.console import Console

        console = Console()
        console.print(_class_table(summaries, title=f"Data set {dataset.id} from {about.source}"))
        console.print(f"Groups {about.groups_from}. {about.note}".strip(), highlight=False)
    if plot is not None:
        _write_picture(plot, lambda: picture(dataset, summaries).save(plot))


def _write_picture(path: Path, save: Callable[[], None]) -> None:
    from medloop.errors import DatasetError

    try:
        save()
    except (OSError, ValueError) as error:  # ValueError: a suffix that PIL does not know
        raise DatasetError(f"The picture {str(path)!r} cannot be written: {error}") from error
    typer.echo(f"Wrote {path}", err=True)


def list_data() -> None:
    """List the data sets on this machine; `*` marks the one in use.

    Example: `medloop data list`
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from medloop.settings import load_settings

    store = _store()
    in_use = load_settings().base_dataset or store.get(None).id
    table = Table("", box=box.SIMPLE, pad_edge=False)
    table.add_column("ID", no_wrap=True, min_width=16)
    for heading in ("Classes", "Images", "Groups"):
        table.add_column(heading, justify="right")
    table.add_column("Source", overflow="fold")
    for dataset_id in store.ids():
        about = store.info(dataset_id)
        mark = "*" if dataset_id == in_use else ""
        groups = f"{about.groups:,} {about.groups_from}"
        table.add_row(
            mark, dataset_id, str(len(about.labels)), f"{about.images:,}", groups, about.source
        )
    Console().print(table)


def use(
    dataset_id: Annotated[
        str, typer.Argument(help="As `medloop data list` shows it.", metavar="ID")
    ],
) -> None:
    """Print the setting that makes a data set the base of all training.

    Example: `medloop data use 97486d4eff08ce22 >> .env`
    """
    _store().get(dataset_id)
    typer.echo(f"MEDLOOP_BASE_DATASET={dataset_id}")
    typer.echo("Put this line into .env or the environment of every machine that trains.", err=True)


def publish(
    dataset_id: Annotated[
        str | None, typer.Argument(help="By default the one in use.", metavar="[ID]")
    ] = None,
) -> None:
    """Put a data set on S3, so that other machines can train on it.

    Example: `medloop data publish`
    """
    from medloop.settings import load_settings
    from medloop.stores.datasets import DatasetStore
    from medloop.stores.objects import ObjectStore

    settings = load_settings()
    store = DatasetStore(settings.home, ObjectStore.from_settings(settings))
    dataset = store.get(dataset_id or settings.base_dataset)
    with _bars() as report:
        new = store.publish(dataset, report)
    typer.echo(f"{dataset.id} {'is on S3 now' if new else 'was on S3 already'}.", err=True)
    typer.echo(dataset.id)


def _store() -> DatasetStore:
    """The data sets of this machine; S3 is looked at only where it is named."""
    from medloop.settings import load_settings
    from medloop.stores.datasets import DatasetStore
    from medloop.stores.objects import ObjectStore

    settings = load_settings()
    named = settings.model_fields_set & {"s3_bucket", "s3_endpoint_url", "aws_access_key_id"}
    return DatasetStore(settings.home, ObjectStore.from_settings(settings) if named else None)


def _tell(imported: Imported) -> None:
    """Print the id on stdout; everything else for a person on stderr."""
    from rich.console import Console

    from medloop.core.data.data_summary import summarise, warnings

    console = Console(stderr=True)
    dataset = imported.dataset
    console.print(_class_table(summarise(dataset), title=f"Data set {dataset.id}"))
    if imported.skipped:
        console.print(f"{len(imported.skipped):,} unreadable files were skipped:", style="yellow")
        for name, why in imported.skipped[:SKIPPED_SHOWN]:
            console.print(f"  {name}: {why}", highlight=False, markup=False)
    for sentence in warnings(dataset):
        console.print(sentence, style="yellow", highlight=False, markup=False)
    console.print(
        f"Groups {imported.groups_from}. To train on it: MEDLOOP_BASE_DATASET={dataset.id}",
        highlight=False,
    )
    typer.echo(dataset.id)


def _class_table(summaries: list[ClassSummary], *, title: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, show_footer=True, box=box.SIMPLE, pad_edge=False)
    table.add_column("Class", "All")
    columns = ("images", "groups", "duplicates", "blanks", "train", "validation", "test")
    headings = (
        "Images",
        "Groups",
        "Copies",
        "Blanks",
        "Train",
        "Validation",
        "Test",
    )  # they fit into 80 characters
    for column, heading in zip(columns, headings, strict=True):
        total = sum(getattr(summary, column) for summary in summaries)
        table.add_column(heading, f"{total:,}", justify="right")
    for summary in summaries:
        table.add_row(summary.label, *(f"{getattr(summary, column):,}" for column in columns))
    return table


@contextmanager
def _bars(*, unit: str = "") -> Iterator[Callable[[str, int, int | None], None]]:
    """Progress on stderr, a bar for each thing done; what it yields takes that thing, how much is done, and in all."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    count = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), count, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks: dict[str, TaskID] = {}

        def report(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what)
            progress.update(tasks[what], completed=done, total=total)

        yield report
