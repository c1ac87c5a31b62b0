"""Back to an earlier champion: one call, an event like every other move."""

from __future__ import annotations

from medloop.core.corrections.lineage import earlier_champions
from medloop.core.gate.report import GateReport
from medloop.errors import NotFoundError, StoreError
from medloop.jobs.alias_moves import last_there, move_alias, moves
from medloop.jobs.context import Context
from medloop.jobs.promote import PromoteResult, PromotionError
from medloop.jobs.training_record import recorded_report
from medloop.stores.registry import CHAMPION, ModelVersion


def rollback(context: Context, *, by: str, reason: str, to: str | None = None) -> PromoteResult:
    """Make the previous champion, or version `to`, the champion again.

    Raises:
        NotFoundError: There is no champion, no earlier one, or no version `to`.
        PromotionError: No reason was given.
    """
    if not reason.strip():
        raise PromotionError("a rollback needs a reason: it stands in the ledger beside your name")
    with context.promotion_lease.hold(f"rollback ({context.new_event()[0]})") as held:
        current = context.registry.version_of(CHAMPION)
        target = to or last_there(context, earlier_champions(moves(context), current))
        if target is None:
            raise NotFoundError(
                f"the ledger knows no champion before version {current}: name one with --to VERSION"
            )
        version = context.registry.get(target)
        if target == current:
            return PromoteResult(False, current, target, ("it is the champion already",))
        move_alias(
            context,
            held,
            alias=CHAMPION,
            action="rollback",
            from_version=current,
            to=version,
            by=by,
            reason=reason,
            report=_report(context, version),
        )
    return PromoteResult(True, current, target, (reason,))


def _report(context: Context, version: ModelVersion) -> GateReport | None:
    try:
        return recorded_report(context, version)
    except StoreError:  # damaged, or out of reach: no reason to leave a bad champion in office
        return None
