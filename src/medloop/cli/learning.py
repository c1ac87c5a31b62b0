"""`medloop bootstrap`, `train`, `evaluate`, `retrain` and `reproduce`: the steps that learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from medloop.cli import acceptance_sets, versions
from medloop.cli.corrections import send_first
from medloop.cli.terminal import (
    AsJson,
    mark,
    progress_bar,
    remark,
    say,
    say_json,
    show_table,
    warn,
)

if TYPE_CHECKING:
    from medloop.core.gate.report import GateReport
    from medloop.jobs.context import Context
    from medloop.jobs.retrain import RetrainResult


Engine = Annotated[
    Literal["local", "ray"] | None,
    typer.Option(
        help="`local` trains on this machine, `ray` on a Ray cluster; MEDLOOP_ENGINE by default."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands that learn, and those for versions and acceptance sets."""
    for command in (bootstrap, train, evaluate, retrain, reproduce):
        app.command()(command)
    versions.register(app)
    acceptance_sets.register(app)


def bootstrap(
    train: Annotated[
        bool, typer.Option("--train", help="Train, even if the package's model would do.")
    ] = False,
    engine: Engine = None,
    as_json: AsJson = False,
) -> None:
    """Install the first model, if the registry has no champion yet; `medloop up` does the same.

    For Medical MNIST it comes with the package. On another base data set, or where
    acceptance sets must be kept out, it is trained.

    Examples: `medloop bootstrap`, `medloop bootstrap --train`
    """
    from medloop.jobs.bootstrap import bootstrap as job
    from medloop.wiring import connect

    warned: list[str] = []
    with progress_bar() as report:
        version = job(connect(), report, train=train, engine=engine, warn=warned.append)
    for sentence in warned:
        warn(sentence)
    if as_json:
        say_json({"version": version})
    elif version:
        say(f"Version {version} is the champion and the reference.")
    else:
        say("There is a champion already.")


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

    The base data set is MEDLOOP_BASE_DATASET. If the champion learned from another one, the
    training starts from random weights. The same training is never done twice: a second call
    returns the version of the first. The command moves no alias.

    After `medloop erase`, take a new snapshot and train with `--from-scratch`: otherwise the model
    starts from weights that learned from the image. This takes as long as the first model.

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
        raise NotFoundError("There is no snapshot yet: `medloop snapshot` takes one.")
    base_id = context.settings.base_dataset or context.datasets.get(None).id
    before = context.snapshots.manifest(snapshot_id).base_id
    other = "" if before == base_id else f", as set, not on {before} as the snapshot was"
    remark(f"Training on data set {base_id}{other}, and snapshot {snapshot_id}.")
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
        say_json({**asdict(result), "base_id": base_id})
        return
    say(result.version)
    done = "had learned exactly this before"
    if not result.reused:
        done = f"was trained in {result.seconds:.0f} s"
    remark(f"Version {result.version} {done}. Next: `medloop evaluate {result.version}`")


def evaluate(
    version: versions.Version,
    as_json: AsJson = False,
) -> None:
    """Compare a version with champion and reference on the same held-out images: the gate.

    The report is stored with the version's run and in S3. The exit code is 0 whatever the verdict.

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
        bool, typer.Option("--force", help="Go on even if too few corrections are new.")
    ] = False,
    min_new: Annotated[
        int | None,
        typer.Option(
            min=1, help="Min number of new corrections; else MEDLOOP_MIN_NEW_CORRECTIONS."
        ),
    ] = None,
    engine: Engine = None,
    as_json: AsJson = False,
) -> None:
    """Run one round of the loop, as the weekly DAG does: snapshot, train, evaluate, promote.

    Corrections that wait on this machine are sent first. Without new corrections, nothing is
    trained. `--force` goes on in any case, but never does the same training twice. The gate decides
    about the promotion either way.

    If MEDLOOP_BASE_DATASET is another data set than the champion's, the training starts from
    nothing, and a version that the gate finds better becomes champion and reference.

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
        say_json({**asdict(result), "waiting": waiting})
        return
    say(_outcome(result))
    for note in result.notes:
        remark(f"{note[0].upper()}{note[1:]}.")
    if result.version is None:
        _remark_on_held(context)


def _remark_on_held(context: Context) -> None:
    """Say how many corrections were left out of the round, and why the first one was."""
    from medloop.jobs.review import queue

    held = queue(context, who=context.settings.user)
    if held:
        why = "; ".join(held[0].decision.reasons) or held[0].decision.state.why
        remark(f"{len(held)} wait for a reviewer, the first one: {why}. See `medloop review list`.")


def _outcome(result: RetrainResult) -> str:
    """Describe the result of a round."""
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
    version: versions.Version,
    as_json: AsJson = False,
) -> None:
    """Train a version again from its record, and compare the weights.

    On the same kind of machine and with the same packages, the weights should be equal. If they
    differ, the exit code is 1, and the command names known differences from the first training. It
    registers nothing.

    Example: `medloop reproduce 4`
    """
    from dataclasses import asdict

    from medloop.jobs.reproduce import reproduce as job
    from medloop.wiring import connect

    with progress_bar() as report:
        result = job(connect(), version=version, progress=report)
    if as_json:
        say_json(asdict(result))
    elif result.same:
        say(
            f"Version {version} is reproduced: weights {result.found_sha256} "
            f"in {result.seconds:.0f} s."
        )
    else:
        note = f" {result.note[:1].upper()}{result.note[1:]}." if result.note else ""
        say(
            f"Version {version} differs: its weights were {result.recorded_sha256} and are now "
            f"{result.found_sha256}.{note} On another kind of processor, expect small differences."
        )
    if not result.same:
        raise typer.Exit(1)


def _print_report(report: GateReport) -> None:
    """Print the checks of a gate report as a table, then the verdict."""
    from medloop.core.gate.words import check_name, found, recent

    rows = [
        (mark(check.passed, "✓" if check.passed else "✗"), check_name(check), found(check))
        for check in report.decision.checks
    ]
    show_table(("", "Check", "What was found"), rows)
    say(
        f"The gate says {'yes' if report.passed else 'no'}: version {report.version} against "
        f"champion {report.champion_version} and reference {report.reference_version or 'none'}."
    )
    if changed := recent(report):
        say(f"{changed}.")
