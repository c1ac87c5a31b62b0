"""Back to an earlier champion: one call, an event like every other move, in effect at the front end's next look."""

from __future__ import annotations

from medloop.core.lineage import previous_champion
from medloop.core.report import GateReport
from medloop.errors import NotFoundError, StoreError
from medloop.jobs.loop import Loop
from medloop.jobs.moves import move_alias, moves
from medloop.jobs.promote import PromoteResult, PromotionError
from medloop.jobs.training_record import recorded_report
from medloop.stores.registry import CHAMPION, ModelVersion


def rollback(loop: Loop, *, by: str, reason: str, to: str | None = None) -> PromoteResult:
    """Make the previous champion, or version `to`, the champion again.

    Raises:
        NotFoundError: There is no champion, no earlier one, or no version `to`.
        PromotionError: No reason was given.
    """
    if not reason.strip():
        raise PromotionError("a rollback needs a reason: it stands in the ledger beside your name")
    with loop.promotion_lease.hold(f"rollback ({loop.new_event()[0]})") as held:
        current = loop.registry.version_of(CHAMPION)
        if current is None:
            raise NotFoundError("there is no champion to roll back from")
        target = to or previous_champion(moves(loop), current)
        if target is None:
            raise NotFoundError(
                f"the ledger knows no champion before version {current}: name one with --to VERSION"
            )
        version = loop.registry.get(target)
        if target == current:
            return PromoteResult(False, current, current, ("it is the champion already",))
        move_alias(
            loop, held, alias=CHAMPION, action="rollback", from_version=current, to=version, by=by, reason=reason,
            report=_report(loop, version),
        )  # fmt: skip
    return PromoteResult(True, current, target, (reason,))


def _report(loop: Loop, version: ModelVersion) -> GateReport | None:
    try:
        return recorded_report(loop, version)
    except StoreError:  # damaged, or out of reach: no reason to leave a bad champion in office
        return None
