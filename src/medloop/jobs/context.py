"""The world as every job is handed it: stores, clock and chance, made by `medloop.wiring`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from medloop.core.corrections.events import Review, ReviewAction, event_id, event_time

if TYPE_CHECKING:
    from medloop.settings import Settings
    from medloop.stores.acceptance_sets import AcceptanceStore
    from medloop.stores.corrections import CorrectionStore
    from medloop.stores.datasets import DatasetStore
    from medloop.stores.lease import Lease
    from medloop.stores.ledger import Ledger
    from medloop.stores.objects import ObjectStore
    from medloop.stores.outbox import Outbox
    from medloop.stores.predictions import PredictionLog
    from medloop.stores.registry import Registry
    from medloop.stores.sender import Sender
    from medloop.stores.signatures import Signatures
    from medloop.stores.snapshots import SnapshotStore


@dataclass(frozen=True, slots=True)
class Context:
    """The outside world, as the jobs see it."""

    settings: Settings
    objects: ObjectStore
    corrections: CorrectionStore
    outbox: Outbox
    sender: Sender
    predictions: PredictionLog
    signatures: Signatures
    snapshots: SnapshotStore
    ledger: Ledger
    lease: Lease  # of training: one at a time, wherever it runs
    promotion_lease: Lease  # of moving the champion alias, which takes seconds
    acceptance_sets: AcceptanceStore
    registry: Registry
    datasets: DatasetStore
    now: Callable[[], datetime]  # time zone aware
    random: Callable[[int], bytes]
    identify: Callable[[str], str]  # a person's name to the identity that is stored

    def new_event(self, *, after: str = "") -> tuple[str, str]:
        """Make a fresh event's id and time (ISO 8601, UTC).

        The id sorts behind the event `after`, which its author knew, whatever the clock says: it
        may have been set back since, or another machine's may be ahead.
        """
        now = self.now()
        identifier = event_id(now=now, random=self.random(10))
        if identifier <= after:
            behind = event_time(after) + timedelta(milliseconds=1)
            identifier = event_id(now=behind, random=self.random(10))
        return identifier, now.isoformat(timespec="milliseconds")

    def new_review(
        self,
        action: ReviewAction,
        image_sha256: str,
        *,
        who: str,
        label: str | None = None,
        why: str = "",
        after: str = "",
    ) -> Review:
        """Make a review of now by the person with this name; `after` as for `new_event`."""
        identifier, at = self.new_event(after=after)
        return Review(identifier, at, image_sha256, action, label, self.identify(who), why)
