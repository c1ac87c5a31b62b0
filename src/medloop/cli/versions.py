"""`medloop models`, `promote`, `rollback`, `reference`, `history`, `audit` and `watch`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medloop.cli.terminal import AsJson, By, mark, say, show_table, warn
from medloop.core import none_of_these

if TYPE_CHECKING:
    from medloop.core.corrections.events import Promotion
    from medloop.jobs.promote import PromoteResult
    from medloop.stores.registry import ModelVersion

REASON_SHOWN = 140  # characters of a reason in a table
SNAPSHOT_SHOWN = 8  # of a snapshot's id
UNEVEN = 0.005  # accuracy over images and mean over classes: both are shown if this far apart


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(models)
    app.command()(promote)
    app.command()(rollback)
    app.command()(reference)
    app.command()(history)
    app.command()(audit)
    app.command()(watch)


def models(as_json: AsJson = False) -> None:
    """List the versions with aliases, accuracy on the base test images, and the gate's verdict.

    Why the gate said no: `medloop evaluate VERSION` shows the report, `--json` has the reasons.

    Examples: `medloop models`, `medloop models --json`
    """
    from medloop.wiring import connect

    found = connect().registry.versions()
    if as_json:
        typer.echo(json.dumps([_version_record(item) for item in found], indent=1))
    elif found:
        _show_versions(found)
    else:
        say("There are no versions yet: `medloop bootstrap` trains the first one.")


def promote(
    version: Annotated[str, typer.Argument(help="The version to make the champion.")],
    force: Annotated[
        bool, typer.Option("--force", help="Overrule the gate; needs a reason.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why; it stands in the ledger.")] = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Make a version the champion, if the gate said yes.

    Exit code 1 if it is not the champion afterwards.

    Open pages answer with it within seconds. Only while the judgement is today's: with this
    champion, this reference, these acceptance sets and these rules.

    Examples: `medloop promote 4`, `medloop promote 4 --force --reason "the new scanner goes live
    today"`
    """
    from medloop.jobs.promote import promote as job
    from medloop.wiring import connect

    context = connect()
    result = job(
        context, version=version, by=by or context.settings.user, reason=reason, force=force
    )
    _tell(result, as_json)
    if not result.promoted:
        raise typer.Exit(1)


def rollback(
    reason: Annotated[str, typer.Option(help="Why; it stands in the ledger.", prompt="Why")],
    to: Annotated[
        str | None,
        typer.Option(help="The version to go back to; the previous champion by default."),
    ] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Make the previous champion the champion again. Open pages answer with it within seconds.

    Twice goes back two champions. A rollback is an event like every promotion: `medloop history`
    shows it.

    Examples: `medloop rollback --reason "calls hands chests"`, `medloop rollback --to 2 --reason
    "last good one"`
    """
    from medloop.jobs.rollback import rollback as job
    from medloop.wiring import connect

    context = connect()
    _tell(job(context, by=by or context.settings.user, reason=reason, to=to), as_json)


def reference(
    version: Annotated[
        str, typer.Argument(help="The version that all are compared with from now on.")
    ],
    reason: Annotated[str, typer.Option(help="Why; it stands in the ledger.", prompt="Why")],
    by: By = None,
) -> None:
    """Choose the version that the gate compares every challenger with, beside the champion.

    The first champion is the reference until somebody chooses another one; the loop itself never
    does.

    Example: `medloop reference 4 --reason "trained on the full data set"`
    """
    from medloop.jobs.reference import choose_reference
    from medloop.wiring import connect

    context = connect()
    before = choose_reference(
        context, version=version, by=by or context.settings.user, reason=reason
    )
    say(f"Version {version} is the reference, before it version {before or 'none'}.")


def history(as_json: AsJson = False) -> None:
    """Show every move of the aliases, oldest first: when, from, to, by whom, and why.

    The champion answers, the challenger was judged last, the reference is what all are compared
    with, too. `--json` has the gate reports themselves.

    Examples: `medloop history`, `medloop history --json`
    """
    from dataclasses import asdict

    from medloop.jobs.alias_moves import all_moves, explain_champion
    from medloop.wiring import connect

    context = connect()
    found = all_moves(context)
    if as_json:
        typer.echo(json.dumps([asdict(move) for move in found], indent=1))
        return
    if not found:
        say("No version has been promoted yet.")
        return
    _show_moves(found)
    if wrong := explain_champion(context):
        warn(wrong)


def audit(
    version: Annotated[str, typer.Argument(help="The version to look into.")],
    everything: Annotated[
        bool, typer.Option("--all", help="Also what was held out or left out, with why.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show every correction that a version learned from: image, label, who said so, and when.

    Also those that only a version learned from whose weights this one started from ("through
    version N").

    Examples: `medloop audit 4`, `medloop audit 4 --all --json`
    """
    from dataclasses import asdict

    from medloop.jobs.audit import audit as job
    from medloop.wiring import connect

    found = job(connect(), version=version)
    rows = [row for row in found.rows if everything or row.use == "trained"]
    if as_json:
        corrections = [asdict(row) for row in rows]
        record = {
            "version": found.version,
            "recipe": asdict(found.recipe),
            "unknown": found.unknown,
        }
        typer.echo(json.dumps({**record, "corrections": corrections}, indent=1))
        return
    table = []
    for row in rows:
        use = f"{row.use} through version {row.through}" if row.through else row.use
        label = none_of_these.describe(row.label)
        table.append((row.image_sha256[:12], label, use, ", ".join(row.who), row.at))
    show_table(("Image", "Label", "Use", "Who", "When"), table)
    if found.unknown:
        say(f"There may be more: {found.unknown}.", err=True)
    recipe = found.recipe
    start = f"version {recipe.parent_version}" if recipe.parent_version else "random weights"
    say(
        f"Version {version}: from {start}, on base data set {recipe.base_id} and snapshot "
        f"{recipe.snapshot_id or 'none'}; {len(rows)} corrections.",
        err=True,
    )


def watch(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what was found.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare a fresh champion with the one before by people's answers; roll back on an alarm.

    For a timer: exit code 1 on an alarm, 0 otherwise. A promotion is watched for MEDLOOP_WATCH_DAYS
    days.

    Example: `medloop watch --dry-run`
    """
    from dataclasses import asdict

    from medloop.jobs.promotion_watch import watch as job
    from medloop.wiring import connect

    result = job(connect(), dry_run=dry_run)
    if as_json:
        typer.echo(json.dumps(asdict(result)))
    else:
        for reason in result.reasons:
            say(f"- {reason}")
        if result.rolled_back:
            say(
                f"ALARM: version {result.previous} is the champion again, version {result.champion} was worse."
            )
        elif result.alarm:
            say(f"ALARM: version {result.champion} is worse than version {result.previous} was.")
    if result.alarm:
        raise typer.Exit(1)


def _tell(result: PromoteResult, as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        typer.echo(json.dumps(asdict(result)))
        return
    if result.promoted:
        say(
            f"Version {result.to_version} is the champion, before it version {result.from_version or 'none'}."
        )
    else:
        say(f"Version {result.to_version or 'none'} stays the champion:")
    for reason in result.reasons:
        say(f"- {reason}")


def _version_record(item: ModelVersion) -> dict[str, Any]:
    tags = item.tags
    return {
        "version": item.version,
        "aliases": list(item.aliases),
        "created_at": item.created_at.isoformat(timespec="seconds"),
        "accuracy": tags.accuracy,
        "balanced_accuracy": tags.balanced_accuracy,
        "gate": tags.gate or None,
        "gate_reasons": list(tags.gate_reasons),
        "corrections": tags.corrections,
        "snapshot_id": tags.snapshot_id or None,
        "parent_version": tags.parent_version or None,
        "run_id": item.run_id,
    }


def _show_versions(found: list[ModelVersion]) -> None:
    rows = []
    for item in reversed(found):
        record = _version_record(item)
        gate = record["gate"]
        accuracy, balanced = record["accuracy"], record["balanced_accuracy"]
        right = f"{100 * accuracy:.2f} %" if accuracy is not None else "–"
        if accuracy is not None and balanced is not None and abs(accuracy - balanced) > UNEVEN:
            right += f" ({100 * balanced:.2f} % by class)"
        row = (
            item.version,
            " ".join(item.aliases),
            f"{item.created_at.astimezone():%Y-%m-%d %H:%M}",
            record["parent_version"] or "–",
            str(record["corrections"]),
            right,
            mark({"yes": True, "no": False}.get(gate), gate or "–"),
        )
        rows.append(row)
    show_table(("Version", "Aliases", "Trained", "From", "Corrections", "Accuracy", "Gate"), rows)


def _show_moves(moves: list[Promotion]) -> None:
    from datetime import datetime

    rows = []
    for move in moves:
        row = (
            f"{datetime.fromisoformat(move.at).astimezone():%Y-%m-%d %H:%M:%S}",
            move.alias,
            move.action,
            move.from_version or "–",
            move.to_version or "–",
            _gate(move),
            (move.snapshot_id or "–")[:SNAPSHOT_SHOWN],
            move.by,
            _shorten(move.reason),
        )
        rows.append(row)
    show_table(("When", "Alias", "What", "From", "To", "Gate", "Snapshot", "By", "Why"), rows)


def _gate(move: Promotion) -> str:
    """Tell what the gate had said of the version that the alias went to."""
    if move.gate_report is None:
        return "–"
    return "yes" if move.gate_report.get("decision", {}).get("passed") else "no"


def _shorten(text: str) -> str:
    return text if len(text) <= REASON_SHOWN else f"{text[:REASON_SHOWN]}…"
