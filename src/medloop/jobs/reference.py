"""Another reference: the version that every challenger is compared with beside the champion.

Only a person moves it.
"""

from __future__ import annotations

from medloop.jobs.alias_moves import move_alias
from medloop.jobs.context import Context
from medloop.jobs.promote import PromotionError
from medloop.jobs.training_record import recorded_report
from medloop.stores.registry import REFERENCE


def choose_reference(context: Context, *, version: str, by: str, reason: str) -> str | None:
    """Make a version the reference; give the one before it.

    Raises:
        NotFoundError: There is no such version.
        PromotionError: No reason was given.
    """
    if not reason.strip():
        raise PromotionError(
            "another reference needs a reason: it stands in the ledger beside your name"
        )
    chosen = context.registry.get(version)
    with context.promotion_lease.hold(f"reference {version} ({context.new_event()[0]})") as held:
        current = context.registry.version_of(REFERENCE)
        if current != version:
            move_alias(
                context,
                held,
                alias=REFERENCE,
                action="choose",
                from_version=current,
                to=chosen,
                by=by,
                reason=reason,
                report=recorded_report(context, chosen),
            )
    return current
