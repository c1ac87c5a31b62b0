"""`medloop models`, `promote`, `rollback`, `reference`, `history`, `audit` and `watch`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from medloop.cli import completion
from medloop.cli.terminal import (
    AsJson,
    By,
    mark,
    remark,
    say,
    say_json,
    shorten,
    show_table,
    warn,
)
from medloop.core import none_of_these

if TYPE_CHECKING:
    from medloop.core.corrections.events import Promotion
    from medloop.jobs.promote import PromoteResult
    from medloop.stores.registry import ModelVersion

REASON_SHOWN = 140  # characters of a reason in a table
HASH_SHOWN = 12  # digits of an image's hash
SNAPSHOT_SHOWN = 8  # of a snapshot's id
UNEVEN = 0.005  # smallest gap between accuracy by image and by class at which both are shown

Version = Annotated[str, typer.Argument(help="A version.", autocompletion=completion.versions)]
Reason = Annotated[str, typer.Option(help="The reason; the ledger keeps it.", prompt="Why")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (models, promote, rollback, reference, history, audit, watch):
        app.command()(command)


def models(as_json: AsJson = False) -> None:
    """List the versions with aliases, accuracy on the base test images, and the gate's verdict.

    `--json` has the gate's reasons; `medloop evaluate VERSION` shows the whole report.

    Examples: `medloop models`, `medloop models --json`
    """
    from medloop.wiring import connect

    found = connect().registry.versions()
    if as_json:
        say_json([_version_record(item) for item in found])
    elif found:
        _show_versions(found)
    else:
        say("There are no versions yet: `medloop bootstrap` installs the first one.")


def promote(
    version: Version,
    force: Annotated[
        bool, typer.Option("--force", help="Overrule the gate; needs a reason.")
    ] = False,
    reason: Annotated[str, typer.Option(help="The reason; the ledger keeps it.")] = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Make a version the champion, if the gate said yes.

    Open pages answer with it within seconds. The gate's verdict counts only if it was made against
    the current champion, reference, acceptance sets and rules. The exit code is 1 if the version is
    not the champion afterwards.

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
    reason: Reason,
    to: Annotated[
        str | None,
        typer.Option(
            help="The version to go back to; the previous champion by default.",
            autocompletion=completion.versions,
        ),
    ] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Make the previous champion the champion again. Open pages answer with it within seconds.

    A second rollback goes back one champion more. `medloop history` lists rollbacks and promotions.

    Examples: `medloop rollback --reason "calls hands chests"`, `medloop rollback --to 2 --reason
    "last good one"`
    """
    from medloop.jobs.rollback import rollback as job
    from medloop.wiring import connect

    context = connect()
    _tell(job(context, by=by or context.settings.user, reason=reason, to=to), as_json)


def reference(
    version: Version,
    reason: Reason,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Choose the version that the gate compares every challenger with, beside the champion.

    The first champion is the reference until somebody chooses another version. The weekly run never
    changes it.

    Example: `medloop reference 4 --reason "trained on the full data set"`
    """
    from medloop.jobs.reference import choose_reference
    from medloop.wiring import connect

    context = connect()
    before = choose_reference(
        context, version=version, by=by or context.settings.user, reason=reason
    )
    if as_json:
        say_json({"from_version": before, "to_version": version})
    else:
        say(f"Version {version} is the reference, before it version {before or 'none'}.")


def history(as_json: AsJson = False) -> None:
    """Show every move of the aliases, oldest first: when, from, to, by whom, and why.

    The champion answers. The challenger is the version that was evaluated last. Every challenger is
    compared with the champion and with the reference. `--json` includes the gate reports.

    Examples: `medloop history`, `medloop history --json`
    """
    from dataclasses import asdict

    from medloop.jobs.alias_moves import all_moves, explain_champion
    from medloop.wiring import connect

    context = connect()
    found = all_moves(context)
    if as_json:
        say_json([asdict(move) for move in found])
        return
    if not found:
        say("No version has been promoted yet.")
        return
    _show_moves(found)
    if wrong := explain_champion(context):
        warn(wrong)


def audit(
    version: Version,
    everything: Annotated[
        bool, typer.Option("--all", help="Add corrections that were held out or left out, and why.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show every correction that a version learned from: image, label, who gave it, and when.

    A version starts from the weights of another. "Through version N" marks a correction that only
    such an earlier version learned from.

    Examples: `medloop audit 4`, `medloop audit 4 --all --json`
    """
    from dataclasses import asdict

    from medloop.jobs.audit import audit as job
    from medloop.wiring import connect

    found = job(connect(), version=version)
    rows = [row for row in found.rows if everything or row.use == "trained"]
    if as_json:
        record = {"version": found.version, "recipe": asdict(found.recipe)}
        corrections = [asdict(row) for row in rows]
        say_json({**record, "unknown": found.unknown, "corrections": corrections})
        return
    table = []
    for row in rows:
        use = f"{row.use} through version {row.through}" if row.through else row.use
        label = none_of_these.describe(row.label)
        table.append(
            (shorten(row.image_sha256, HASH_SHOWN), label, use, ", ".join(row.who), row.at)
        )
    show_table(("Image", "Label", "Use", "Who", "When"), table)
    if found.unknown:
        warn(f"there may be more: {found.unknown}.")
    recipe = found.recipe
    start = f"version {recipe.parent_version}" if recipe.parent_version else "random weights"
    remark(
        f"Version {version} started from {start} and learned from base data set {recipe.base_id} "
        f"and snapshot {recipe.snapshot_id or 'none'}; {len(rows)} corrections."
    )


def watch(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report, and change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare a new champion with the previous one by people's answers; roll back on an alarm.

    The exit code is 1 on an alarm and 0 otherwise, as a timer needs. A promotion is watched for
    MEDLOOP_WATCH_DAYS days.

    Example: `medloop watch --dry-run`
    """
    from dataclasses import asdict

    from medloop.jobs.promotion_watch import watch as job
    from medloop.wiring import connect

    result = job(connect(), dry_run=dry_run)
    if as_json:
        say_json(asdict(result))
    else:
        for reason in result.reasons:
            say(f"- {reason}")
        if result.rolled_back:
            say(
                f"ALARM: version {result.champion} was worse; "
                f"version {result.previous} is the champion again."
            )
        elif result.alarm:
            say(f"ALARM: version {result.champion} is worse than version {result.previous}.")
    if result.alarm:
        raise typer.Exit(1)


def _tell(result: PromoteResult, as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        say_json(asdict(result))
        return
    if result.promoted:
        say(
            f"Version {result.to_version} is the champion, "
            f"before it version {result.from_version or 'none'}."
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
            shorten(move.snapshot_id or "–", SNAPSHOT_SHOWN),
            move.by,
            _cut(move.reason),
        )
        rows.append(row)
    show_table(("When", "Alias", "What", "From", "To", "Gate", "Snapshot", "By", "Why"), rows)


def _gate(move: Promotion) -> str:
    """Return the gate's verdict on the version that the alias moved to."""
    if move.gate_report is None:
        return "–"
    return "yes" if move.gate_report.get("decision", {}).get("passed") else "no"


def _cut(reason: str) -> str:
    return reason if len(reason) <= REASON_SHOWN else f"{reason[:REASON_SHOWN]}…"
