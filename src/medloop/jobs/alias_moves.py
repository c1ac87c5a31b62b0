"""Moves of the registry's aliases. Each is an event in the ledger, written before the move.

A crash in between leaves an event without its move; doing the same again finds that event and
finishes the move. Why an alias moves is for `promote`, `rollback`, `bootstrap` and `evaluate` to
say.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from medloop.core.corrections.events import Promotion, PromotionAction
from medloop.core.corrections.lineage import champions
from medloop.core.gate.report import GateReport
from medloop.errors import NotFoundError, StoreError
from medloop.jobs.context import Context
from medloop.stores.lease import Held
from medloop.stores.registry import CHALLENGER, CHAMPION, ModelVersion
from medloop.stores.version_tags import VersionTags


def moves(context: Context) -> list[Promotion]:
    """List the moves of this model's champion, oldest first."""
    return [move for move in all_moves(context) if move.alias == CHAMPION]


def all_moves(context: Context) -> list[Promotion]:
    """List the moves of all aliases of this model, oldest first."""
    return [move for move in context.ledger.entries() if move.model == context.registry.model]


def last_there(context: Context, versions: Sequence[str]) -> str | None:
    """Find the last of these versions that the registry still has."""
    for version in reversed(versions):
        with suppress(NotFoundError):
            return context.registry.get(version).version
    return None


def explain_champion(context: Context) -> str:
    """Say how the alias differs from the ledger, and what to do; "" if it does not."""
    current, line = context.registry.version_of(CHAMPION), champions(moves(context))
    if not line or current == line[-1]:
        return ""
    last = last_there(context, line)
    back = f"`medloop promote {last}` makes version {last} the champion again"
    if last is None:
        back = "`medloop bootstrap` installs a first model"
    if current is None:
        return f"The registry has no champion; version {line[-1]} was the last one. {back}."
    return (
        f"The champion is version {current}, but version {line[-1]} in the ledger: another client "
        f"moved the alias, or a move was cut off. {back}; `medloop promote {current} --force "
        f"--reason …` keeps version {current}."
    )


def move_alias(
    context: Context,
    held: Held | None,
    *,
    alias: str,
    action: PromotionAction,
    from_version: str | None,
    to: ModelVersion,
    by: str,
    reason: str,
    report: GateReport | None = None,
) -> None:
    """Write the event, then move the alias from where the caller found it.

    `held` is the promotion lease; None for the challenger, which nobody is served by. `report` is
    the gate's on the version `to`.

    Raises:
        StaleError: The lease passed to somebody else, or the alias points elsewhere by now.
    """
    if held:
        held.check()
    made = all_moves(context)
    known = [move for move in made if move.alias == alias][-1:]
    same = (action, from_version, to.version)
    if [(move.action, move.from_version, move.to_version) for move in known] != [same]:
        _append(
            context,
            made,
            alias=alias,
            action=action,
            from_version=from_version,
            to_version=to.version,
            by=by,
            reason=reason,
            snapshot_id=to.tags.snapshot_id or None,
            gate_report=report.to_dict() if report else None,
            token=held.token if held else None,
        )
    if held:
        if alias == CHAMPION:
            context.registry.set_tags(to.version, VersionTags(champion_fence=held.token))
        # Last: whoever slept through the lease's time must not undo what others did meanwhile.
        held.check()
    context.registry.move_alias(alias, to.version, expected=from_version)


def drop_challenger(context: Context, *, version: str, by: str, reason: str) -> None:
    """Take the challenger's name from a version, if it has it and the registry lets us."""
    if context.registry.version_of(CHALLENGER) != version:
        return
    # MLflow lets few remove a name; on the champion it says nothing wrong.
    with suppress(StoreError):
        context.registry.drop_alias(CHALLENGER)
        _append(
            context,
            all_moves(context),
            alias=CHALLENGER,
            action="drop",
            from_version=version,
            to_version="",
            by=by,
            reason=reason,
        )


def _append(context: Context, made: Sequence[Promotion], **fields: Any) -> None:
    """Write a move behind those that were made, even if the clock was set back since."""
    identifier, at = context.new_event(after=made[-1].id if made else "")
    context.ledger.append(Promotion(id=identifier, at=at, model=context.registry.model, **fields))
