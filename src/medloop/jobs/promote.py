"""Moves the champion alias, on the gate's word or a person's. Every move is an event, written before the move.

Run twice it finds the move made, or finishes it. A rollback is in `medloop.jobs.rollback`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from medloop.core.events import Promotion, PromotionAction
from medloop.errors import MedloopError, StaleError, StoreError
from medloop.jobs.loop import Loop
from medloop.jobs.training_record import recorded_report
from medloop.stores.registry import CHALLENGER, CHAMPION


class PromotionError(MedloopError):
    """The promotion was asked for in a way that can't be carried out."""


@dataclass(frozen=True, slots=True)
class PromoteResult:
    """Where the champion alias was and is."""

    promoted: bool
    from_version: str | None
    to_version: str
    reasons: tuple[str, ...]


def promote(loop: Loop, *, version: str, by: str, reason: str = "", force: bool = False) -> PromoteResult:
    """Make a version the champion if its gate report says yes; `force` overrules it, for a person with a reason.

    Raises:
        StaleError: The champion is no longer the one that the version was judged against.
        PromotionError: There is no gate report, or a forced promotion has no reason.
    """
    if force and not reason.strip():
        raise PromotionError("a forced promotion needs a reason: it stands in the ledger beside your name")
    challenger = loop.registry.get(version)
    with loop.promotion_lease.hold(f"promotion of version {version} ({loop.new_event()[0]})"):
        current = loop.registry.version_of(CHAMPION)
        report = recorded_report(loop, challenger)
        if current == version:
            return PromoteResult(True, current, version, ("it is the champion already",))
        if report is None and not force:
            raise PromotionError(f"version {version} was never judged: run `medloop evaluate {version}` first")
        if not force and report:
            if not report.passed:
                return PromoteResult(False, current, current or "", report.reasons)
            if report.champion_version != current:
                raise StaleError(
                    f"version {version} was judged against version {report.champion_version}, and the champion is "
                    f"{current or 'none'} by now: run `medloop evaluate {version}` again"
                )
        why = reason or (report.summary if report else "")
        move_champion(
            loop, action="promote", from_version=current, to_version=version, by=by, reason=why,
            snapshot_id=challenger.tags.get("snapshot_id") or None, gate_report=report.to_dict() if report else None,
        )  # fmt: skip
        if loop.registry.version_of(CHALLENGER) == version:
            with suppress(StoreError):  # MLflow lets few remove a name; on the champion it says nothing wrong
                loop.registry.drop_alias(CHALLENGER)
    return PromoteResult(True, current, version, (why,))


def moves(loop: Loop) -> list[Promotion]:
    """The moves of this model's champion, oldest first; a bucket may hold those of other models, too."""
    return [move for move in loop.ledger.entries() if move.model == loop.registry.model]


def move_champion(
    loop: Loop,
    *,
    action: PromotionAction,
    from_version: str | None,
    to_version: str,
    by: str,
    reason: str,
    snapshot_id: str | None = None,
    gate_report: Mapping[str, Any] | None = None,
) -> None:
    """Write the event, then move the alias. Callers hold the promotion lease.

    A crash in between leaves an event without its move; doing the same again finds that event and finishes the move.
    """
    known = moves(loop)
    unfinished = bool(known) and (known[-1].action, known[-1].from_version, known[-1].to_version) == (
        action, from_version, to_version
    )  # fmt: skip
    if not unfinished:
        identifier, at = loop.new_event()
        event = Promotion(
            id=identifier, at=at, model=loop.registry.model, action=action, from_version=from_version,
            to_version=to_version, by=by, reason=reason, snapshot_id=snapshot_id,
            gate_report=None if gate_report is None else dict(gate_report),
        )  # fmt: skip
        loop.ledger.append(event)
    loop.registry.move_alias(CHAMPION, to_version, expected=from_version)
