"""`medloop bootstrap`, `train`, `evaluate`, `retrain` and `reproduce`: the steps that learn."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from medloop.cli import acceptance_sets, versions
from medloop.cli.corrections import send_first
from medloop.cli.terminal import AsJson, mark, progress_bar, say, show_table, warn

if TYPE_CHECKING:
    from medloop.core.gate.report import GateReport
    from medloop.jobs.retrain import RetrainResult


Engine = Annotated[
    Literal["local", "ray"] | None,
    typer.Option(help="`local` trains here, `ray` on a Ray cluster; else MEDLOOP_ENGINE."),
]


def register(app: typer.Typer) -> None:
    """Add the commands that learn, and those for versions and acceptance sets."""
    app.command()(bootstrap)
    app.command()(train)
    app.command()(evaluate)
    app.command()(retrain)
    app.command()(reproduce)
    versions.register(app)
    acceptance_sets.register(app)


def bootstrap(engine: Engine = None) -> None:
    """Train the first model on the base data set, if the registry has no champion yet.

    `medloop up` does the same. The base data set is the one that `medloop data use` chose, else the
    bundled sample.

    Example: `medloop bootstrap`
    """
    from medloop.jobs.bootstrap import bootstrap as job
    from medloop.wiring import connect

    warned: list[str] = []
    with progress_bar() as report:
        version = job(connect(), report, engine=engine, warn=warned.append)
    for sentence in warned:
        warn(sentence)
    say(
        f"Version {version} is the champion and the reference."
        if version
        else "There is a champion already."
    )


def train(
    snapshot: Annotated[
        str | None, typer.Argument(help="Id from `medloop snapshot`; the latest by default.")
    ] = None,
    from_scratch: Annotated[
        bool,
        typer.Option("--from-scratch", help="Start from random weights, not from the champion's."),
    ] = False,
    engine: Engine = None,
    as_json: AsJson = False,
) -> None:
    """Train on a snapshot from the champion's weights, register the version and print it.

    The base data set is the one in the settings. If the champion learned from another one, the
    training starts from random weights. The same training is done once: a second call
    finds the version and says so. Moves no alias.
    After `medloop erase`, only `--from-scratch` on a new snapshot gives a model that never saw the
    image; it takes as long as the first model.

    Examples: `medloop train`, `medloop train 3f2a90c1d4e5b607 --engine ray`, `medloop train
    --from-scratch`
    """
    from dataclasses import asdict

    from medloop.errors import NotFoundError
    from medloop.jobs.train import train as job
    from medloop.wiring import connect

    context = connect()
    latest = context.snapshots.latest() if snapshot is None else None
    snapshot_id = snapshot or (latest.snapshot_id if latest else None)
    if snapshot_id is None:
        raise NotFoundError("there is no snapshot yet: `medloop snapshot` takes one")
    base_id = context.settings.base_dataset or context.datasets.get(None).id
    before = context.snapshots.manifest(snapshot_id).base_id
    other = "" if before == base_id else f", as set, not on {before} as the snapshot was"
    say(f"Training on data set {base_id}{other}, and snapshot {snapshot_id}.", err=True)
    with progress_bar() as report:
        result = job(
            context,
            snapshot_id=snapshot_id,
            base_id=base_id,
            from_scratch=from_scratch or None,
            engine=engine,
            progress=report,
        )
    if as_json:
        typer.echo(json.dumps({**asdict(result), "base_id": base_id}))
        return
    say(result.version)
    done = (
        "had been trained on this before" if result.reused else f"trained in {result.seconds:.0f} s"
    )
    say(f"Version {result.version} {done}. Next: `medloop evaluate {result.version}`", err=True)


def evaluate(
    version: Annotated[
        str, typer.Argument(help="Version from `medloop train` or `medloop models`.")
    ],
    as_json: AsJson = False,
) -> None:
    """Put a version before the gate: against champion and reference, on the same held-out images.

    The report is kept with the version's run and in S3. The exit code is 0 whatever the gate says.

    Example: `medloop evaluate 4`
    """
    from medloop.jobs.evaluate import evaluate as job
    from medloop.wiring import connect

    with progress_bar() as report:
        found = job(connect(), version=version, progress=report)
    if as_json:
        typer.echo(found.to_json().decode())
        return
    _print_report(found)


def retrain(
    force: Annotated[
        bool, typer.Option("--force", help="Go on even when too few corrections are new.")
    ] = False,
    min_new: Annotated[
        int | None,
        typer.Option(
            min=1, help="Least number of new corrections; else MEDLOOP_MIN_NEW_CORRECTIONS."
        ),
    ] = None,
    engine: Engine = None,
    as_json: AsJson = False,
) -> None:
    """Run one round of the loop, as the weekly DAG does: snapshot, train, evaluate, promote.

    Corrections that wait on this machine are sent first. Without news no training is done. If the
    settings name another base data set than the champion's, the training starts from nothing, and a
    version that the gate finds better becomes champion and reference.
    `--force` goes on in any case, but does no training twice. The gate decides about the promotion
    either way.

    Examples: `medloop retrain`, `medloop retrain --min-new 20`
    """
    from dataclasses import asdict

    from medloop.jobs.retrain import retrain as job
    from medloop.wiring import connect

    context = connect()
    waiting = send_first(context)
    with progress_bar() as report:
        result = job(
            context,
            force=force,
            min_new=min_new,
            engine=engine,
            by="medloop retrain",
            progress=report,
        )
    if as_json:
        typer.echo(json.dumps({**asdict(result), "waiting": waiting}))
    else:
        say(_outcome(result))
        for note in result.notes:
            say(f"{note[0].upper()}{note[1:]}.", err=True)


def _outcome(result: RetrainResult) -> str:
    """Say what came of a round."""
    if result.version is None:
        return f"No training: {result.reason}."
    before = (
        f"No training: version {result.version} had learned exactly this before. "
        if result.reused
        else ""
    )
    if result.promoted:
        return f"{before}Version {result.version} is the champion{'' if result.reused else ' now'}."
    stays = f"version {result.champion} stays. {result.reason}"
    return f"{before}Version {result.version} was not promoted; {stays}"


def reproduce(
    version: Annotated[str, typer.Argument(help="The version to train once more.")],
    as_json: AsJson = False,
) -> None:
    """Train a version again from what was recorded of it, and compare the weights.

    Exit code 1 if they differ.

    Equal weights are to be expected on the same kind of machine with the same packages; where they
    differ, it says what is known to be another than at the training. Registers nothing.

    Example: `medloop reproduce 4`
    """
    from dataclasses import asdict

    from medloop.jobs.reproduce import reproduce as job
    from medloop.wiring import connect

    with progress_bar() as report:
        result = job(connect(), version=version, progress=report)
    if as_json:
        typer.echo(json.dumps(asdict(result)))
    elif result.same:
        say(
            f"Version {version} is reproduced: weights {result.found_sha256} "
            f"in {result.seconds:.0f} s."
        )
    else:
        note = f" {result.note[:1].upper()}{result.note[1:]}." if result.note else ""
        say(
            f"Version {version} differs: recorded {result.recorded_sha256}, found "
            f"{result.found_sha256}.{note} On another kind of processor, small differences are to "
            "be expected."
        )
    if not result.same:
        raise typer.Exit(1)


def _print_report(report: GateReport) -> None:
    """Print the checks of a gate report as a table, the verdict below."""
    from medloop.core.gate.words import check_name, found, recent

    rows = []
    for check in report.decision.checks:
        rows.append(
            (mark(check.passed, "✓" if check.passed else "✗"), check_name(check), found(check))
        )
    show_table(("", "Check", "What was found"), rows)
    say(
        f"The gate says {'yes' if report.passed else 'no'}: version {report.version} against "
        f"champion {report.champion_version} and reference {report.reference_version or 'none'}."
    )
    if changed := recent(report):
        say(f"{changed}.")
