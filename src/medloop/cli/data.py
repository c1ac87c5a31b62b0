"""`medloop data …`: bring data sets in, look at them, choose and share them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medloop.cli import completion
from medloop.cli.terminal import AsJson, progress_bar, remark, say, say_json, show_table, warn

if TYPE_CHECKING:
    from medloop.core.data.data_summary import ClassSummary
    from medloop.stores.dataset_import import Imported
    from medloop.stores.datasets import DatasetStore
    from medloop.stores.public_set import Expected

SKIPPED_SHOWN = 20
COLUMNS = {  # of a class: attribute to heading; together they fit into 80 characters
    "images": "Images",
    "groups": "Groups",
    "duplicates": "Copies",
    "blanks": "Blanks",
    "train": "Train",
    "validation": "Validation",
    "test": "Test",
}
Groups = Annotated[
    Path | None,
    typer.Option(
        help="CSV file with the columns `file` and `group`; else `groups.csv` inside, "
        "else groups of near-duplicates are computed."
    ),
]
DatasetId = Annotated[
    str | None,
    typer.Argument(
        help="Id of a data set; by default the one in use.",
        metavar="[ID]",
        autocompletion=completion.datasets,
    ),
]


def register(app: typer.Typer) -> None:
    """Add `medloop data` and its commands."""
    data = typer.Typer(
        name="data",
        no_args_is_help=True,
        help="Import, inspect, choose and share data sets. The bundled sample is used by default.",
    )
    data.command("import")(import_data)
    data.command("list")(list_data)
    for command in (fetch, info, use, publish):
        data.command()(command)
    app.add_typer(data)


def import_data(
    path: Annotated[
        Path,
        typer.Argument(help="A zip or folder with one folder per class, or a MedMNIST-style .npz."),
    ],
    groups: Groups = None,
    labels: Annotated[
        str, typer.Option(help="Class names of an .npz, in order, separated by commas.")
    ] = "",
    folder: Annotated[
        str | None,
        typer.Option(
            help="The folder that holds the class folders, if there are others beside it."
        ),
    ] = None,
    leave_out: Annotated[
        str, typer.Option(help="Pattern of paths that are not read, such as '*_mask*'.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Read a data set into the state folder and print its id.

    Files are told apart by their content. What is no image is left out, counted and listed.

    Examples: `medloop data import archive.zip`, `medloop data import scans/ --groups patients.csv`,
    `medloop data import organamnist_64.npz --labels bladder,femur,heart`
    """
    from medloop.stores.dataset_import import ImportOptions

    names = tuple(label.strip() for label in labels.split(",") if label.strip())
    with progress_bar() as report:
        options = ImportOptions(groups, names, folder, leave_out)
        imported = _store().import_path(path, report, options=options)
    _tell(imported, as_json)


def fetch(
    url: Annotated[
        str | None, typer.Option(help="Another address of the same zip, such as your own mirror.")
    ] = None,
    sha256: Annotated[
        str | None,
        typer.Option(help="SHA-256 of the zip; it replaces the verification of the content."),
    ] = None,
    groups: Groups = None,
    as_json: AsJson = False,
) -> None:
    """Download the full Medical MNIST (58,954 images, about 90 MB), verify it and print its id.

    It comes from GitHub. An interrupted download is continued. docs/data.md says what is verified.
    Kept are the 53,100 images whose examination is known, unless --groups or --sha256 is given.

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
        with progress_bar() as report:
            found = download(address, file, sha256=sha256, progress=report)
    except StoreUnavailableError as error:
        raise StoreUnavailableError(
            f"{error} Without a network, use the bundled sample, or download {address} elsewhere "
            f"and run `medloop data import FILE --folder {public_set.FOLDER}`."
        ) from error
    if sha256 is None:
        named = public_set.published_tree() if url is None else None
        note = _verify(file, public_set.medical_mnist(), named=named)
    else:
        note = f"SHA-256 {found} as given"
    with progress_bar() as report:
        options = ImportOptions(
            groups=groups, folder=public_set.FOLDER, known_groups=sha256 is None and groups is None
        )
        imported = _store().import_path(file, report, options=options, note=f"{address}; {note}")
    file.unlink()
    _tell(imported, as_json)
    remark(f"Verified: {note}")


def _verify(file: Path, expected: Expected, *, named: str | None) -> str:
    """Say what was verified; delete a download that is something else."""
    from medloop.errors import DatasetError
    from medloop.stores.public_set import verify

    try:
        with progress_bar() as report:
            tree = verify(file, expected, tree=named, progress=report)
    except DatasetError:
        file.unlink()
        raise
    compared = "as GitHub names it for the pinned commit"
    if named is None:
        compared = "which could not be compared with GitHub's"
    counted = f"counts by class, {len(expected.blobs):,} files byte by byte"
    return f"{counted}, git tree {tree}, {compared}"


def info(
    dataset_id: DatasetId = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write a picture: sample images and grey values by class.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show images, groups, exact duplicates, blank images and the split of a data set, by class.

    Examples: `medloop data info`, `medloop data info --plot classes.png`
    """
    from dataclasses import asdict

    from medloop.core.data.data_summary import picture, summarise
    from medloop.errors import DatasetError
    from medloop.settings import load_settings

    store = _store()
    dataset = store.get(dataset_id or load_settings().base_dataset)
    about = store.info(dataset.id)
    summaries = summarise(dataset)
    if as_json:
        say_json({**asdict(about), "classes": [asdict(summary) for summary in summaries]})
    else:
        _show_classes(summaries, title=f"Data set {dataset.id} from {about.source}")
        say(f"Groups {about.groups_from}. {about.note}".strip())
    if plot is None:
        return
    try:
        picture(dataset, summaries).save(plot)
    except (OSError, ValueError) as error:  # ValueError: a suffix that PIL does not know
        raise DatasetError(f"The picture {str(plot)!r} cannot be written: {error}") from error
    remark(f"Wrote {plot}")


def list_data(as_json: AsJson = False) -> None:
    """List the data sets on this machine; `*` marks the one in use.

    Example: `medloop data list`
    """
    from dataclasses import asdict

    from medloop.settings import load_settings

    store = _store()
    in_use = load_settings().base_dataset or store.get(None).id
    found = [store.info(dataset_id) for dataset_id in store.ids()]
    if as_json:
        say_json([{**asdict(about), "in_use": about.id == in_use} for about in found])
        return
    rows = []
    for about in found:
        counts = (
            str(len(about.labels)),
            f"{about.images:,}",
            f"{about.groups:,} {about.groups_from}",
        )
        rows.append(("*" if about.id == in_use else "", about.id, *counts, about.source))
    headings = ("", "ID", "Classes", "Images", "Groups", "Source")
    show_table(headings, rows, numbers=("Classes", "Images", "Groups"))


def use(
    dataset_id: Annotated[
        str,
        typer.Argument(
            help="As `medloop data list` shows it.",
            metavar="ID",
            autocompletion=completion.datasets,
        ),
    ],
) -> None:
    """Print the setting that makes a data set the base of all training, and say what follows.

    Example: `medloop data use 97486d4eff08ce22 >> .env`
    """
    from medloop.errors import MedloopError
    from medloop.settings import load_settings

    gone = set[str]()
    chosen = _store().get(dataset_id)
    with suppress(MedloopError):  # the one before may be gone
        gone = set(_store().get(load_settings().base_dataset).labels) - set(chosen.labels)
    say(f"MEDLOOP_BASE_DATASET={dataset_id}")
    remark("Put this line into .env or the environment of every machine that trains.")
    remark("Restart what runs: `medloop down`, then `medloop up`.")
    remark(
        "The next training (`medloop retrain`, or Retrain now on the page) starts from nothing. "
        "Its version becomes champion and reference, if the gate finds it better on what no model "
        "has seen. Until then the champion stays."
    )
    if gone:
        named = ", ".join(sorted(gone))
        remark(f"It lacks {named}: only corrections teach these classes then.")


def publish(dataset_id: DatasetId = None) -> None:
    """Put a data set on S3, so that other machines can train on it.

    Example: `medloop data publish`
    """
    from medloop.wiring import connect

    context = connect()
    dataset = context.datasets.get(dataset_id or context.settings.base_dataset)
    with progress_bar() as report:
        new = context.datasets.publish(dataset, report)
    remark(f"{dataset.id} {'is on S3 now' if new else 'was on S3 already'}.")
    say(dataset.id)


def _store() -> DatasetStore:
    """Open the data sets of this machine, and those on S3 if the settings name one."""
    from medloop.settings import load_settings
    from medloop.stores.datasets import DatasetStore
    from medloop.stores.objects import ObjectStore

    settings = load_settings()
    named = settings.model_fields_set & {"s3_bucket", "s3_endpoint_url", "aws_access_key_id"}
    return DatasetStore(settings.home, ObjectStore.from_settings(settings) if named else None)


def _tell(imported: Imported, as_json: bool) -> None:
    """Print the id on stdout and everything else, for a person, on stderr."""
    from medloop.core.data.data_summary import summarise, warnings

    dataset = imported.dataset
    if as_json:
        skipped = [{"path": name, "error": why} for name, why in imported.skipped]
        images = len(dataset.images)
        record = {"id": dataset.id, "labels": list(dataset.labels), "images": images}
        say_json({**record, "skipped": skipped, "warnings": list(warnings(dataset))})
        return
    _show_classes(summarise(dataset), title=f"Data set {dataset.id}", err=True)
    if imported.skipped:
        warn(f"{len(imported.skipped):,} files were left out:")
        for name, why in imported.skipped[:SKIPPED_SHOWN]:
            say(f"  {name}: {why}", err=True)
        if len(imported.skipped) > SKIPPED_SHOWN:
            say(f"  … and {len(imported.skipped) - SKIPPED_SHOWN:,} more", err=True)
    if imported.coloured:
        warn(f"{imported.coloured:,} images are in colour: their brightness alone is learned.")
    for sentence in warnings(dataset):
        warn(sentence)
    setting = f"MEDLOOP_BASE_DATASET={dataset.id}"
    remark(f"Groups {imported.groups_from}. To train on it: {setting}")
    say(dataset.id)


def _show_classes(summaries: list[ClassSummary], *, title: str, err: bool = False) -> None:
    rows = [[s.label, *(f"{getattr(s, name):,}" for name in COLUMNS)] for s in summaries]
    totals = [f"{sum(getattr(s, name) for s in summaries):,}" for name in COLUMNS]
    headings = tuple(COLUMNS.values())
    show_table(
        ("Class", *headings), rows, title=title, numbers=headings, totals=("All", *totals), err=err
    )
