"""Moves the champion alias, on the gate's word or a person's.

Run twice it finds the move made, or finishes it. A rollback is in `medloop.jobs.rollback`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from medloop.core.corrections.events import Promotion, PromotionAction
from medloop.core.corrections.lineage import champions, rollback_from
from medloop.core.gate.report import GateReport
from medloop.core.gate.words import reasons, summary
from medloop.errors import MedloopError, StaleError
from medloop.jobs.alias_moves import drop_challenger, last_there, move_alias, moves
from medloop.jobs.comparison import comparison_key
from medloop.jobs.context import Context
from medloop.jobs.training_record import recorded_report
from medloop.stores.lease import Held
from medloop.stores.registry import CHAMPION, REFERENCE, ModelVersion


class PromotionError(MedloopError):
    """The promotion was asked for in a way that can't be carried out."""


@dataclass(frozen=True, slots=True)
class PromoteResult:
    """The versions that the champion alias named before and names now."""

    promoted: bool
    from_version: str | None
    to_version: str
    reasons: tuple[str, ...]


def promote(
    context: Context, *, version: str, by: str, reason: str = "", force: bool = False
) -> PromoteResult:
    """Make a version the champion if its report says yes, or a person forces it with a reason.

    If the alias is not where the ledger says, the ledger's champion comes back without a judgement.

    Raises:
        StaleError: The judgement is no longer of today: there is another champion, reference or
            acceptance set by now, or the gate has other rules.
        PromotionError: There is no gate report, or a forced promotion has no reason.
    """
    if force and not reason.strip():
        raise PromotionError(
            "a forced promotion needs a reason: it stands in the ledger beside your name"
        )
    challenger = context.registry.get(version)
    doing = f"promotion of version {version} ({context.new_event()[0]})"
    with context.promotion_lease.hold(doing) as held:
        return _promote(context, held, challenger, by=by, reason=reason, force=force)


def _promote(
    context: Context, held: Held, challenger: ModelVersion, *, by: str, reason: str, force: bool
) -> PromoteResult:
    version, current = challenger.version, context.registry.version_of(CHAMPION)
    made = moves(context)
    line = champions(made)
    named = line[-1] if line else current
    report = recorded_report(context, challenger)
    if current == version == named:
        return PromoteResult(True, current, version, ("it is the champion already",))
    lost = current != named and version == last_there(context, line)
    if not (force or lost) and (against := _against(context, made, version, report)):
        return PromoteResult(False, current, current or "", against)
    why = reason or (summary(report) if report else "the ledger's champion, put back")
    move_alias(
        context,
        held,
        alias=CHAMPION,
        action=_action(made, current, version) if lost else "promote",
        from_version=named if current == version else current,
        to=challenger,
        by=by,
        reason=why,
        report=report,
    )
    drop_challenger(context, version=version, by=by, reason="it is the champion now")
    return PromoteResult(True, current, version, (why,))


def _action(made: Sequence[Promotion], current: str | None, version: str) -> PromotionAction:
    """Finish a move that was cut off as what it was; any other way back is a rollback."""
    last = made[-1]
    return last.action if (last.from_version, last.to_version) == (current, version) else "rollback"


def _against(
    context: Context, made: Sequence[Promotion], version: str, report: GateReport | None
) -> tuple[str, ...]:
    """List what speaks against a promotion that nobody forces; () for nothing."""
    line = champions(made)
    current = line[-1] if line else context.registry.version_of(CHAMPION)
    if version in line[:-1]:
        return (
            f"version {version} was champion before version {current}, so this is an old run done "
            "again. A person can bring it back: `medloop rollback`, or `medloop promote "
            f"{version} --force --reason …`",
        )
    if report is None:
        raise PromotionError(
            f"version {version} was never judged: run `medloop evaluate {version}` first"
        )
    if not report.passed:
        return reasons(report)
    if report.champion_version != current:
        raise StaleError(
            f"version {version} was judged against version {report.champion_version}, and the "
            f"champion is {current or 'none'} by now: run `medloop evaluate {version}` again"
        )
    _require_todays_judgement(context, report)
    back = rollback_from(made, version)
    if back and _is_older(report, back, made):
        return (
            f"version {version} was rolled back after the gate had judged it, by {back.by}: "
            f"{back.reason}. The same judgement does not bring it back; a person can: "
            f"`medloop promote {version} --force --reason …`",
        )
    return ()


def _is_older(report: GateReport, back: Promotion, made: Sequence[Promotion]) -> bool:
    """Tell if a rollback knew this report: by its time, or by the promotion that it took back."""
    known = [(move.gate_report or {}).get("at") for move in made if move.id < back.id]
    at = datetime.fromisoformat(report.at)
    return datetime.fromisoformat(back.at) > at or report.at in known


def _require_todays_judgement(context: Context, report: GateReport) -> None:
    """Require that an evaluation would find this report, and not make another one."""
    reference = context.registry.version_of(REFERENCE)
    sets = context.acceptance_sets.declarations()
    version, champion = report.version, report.champion_version
    if report.key == comparison_key(version, champion=champion, reference=reference, sets=sets):
        return
    if report.reference_version != reference:
        since = (
            f"against reference {report.reference_version or 'none'}, and that is "
            f"{reference or 'none'} by now"
        )
    else:
        since = "before the acceptance sets or the gate's rules were what they are now"
    raise StaleError(
        f"version {version} was judged {since}: run `medloop evaluate {version}` again"
    )
