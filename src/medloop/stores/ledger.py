"""The promotion ledger: every move of the champion alias, append-only in S3."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from medloop.core.corrections.events import Promotion, event_key
from medloop.errors import StoreError
from medloop.stores.objects import ObjectStore

log = logging.getLogger(__name__)


class Ledger:
    """Promotions in `promotions/dt=YYYY-MM-DD/{id}.json`."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def append(self, promotion: Promotion) -> bool:
        """Write one move; True if it was not there yet."""
        return self._objects.ensure(event_key(promotion), promotion.to_json())

    def entries(self) -> list[Promotion]:
        """Read all moves, oldest first; what is no move keeps nobody from rolling back."""
        return sorted(self._readable(), key=lambda promotion: promotion.id)

    def _readable(self) -> Iterator[Promotion]:
        keys = [info.key for info in self._objects.list("promotions") if info.key.endswith(".json")]
        for key, raw in zip(keys, self._objects.get_many(keys), strict=True):
            try:
                yield Promotion.from_json(raw)
            except StoreError as error:
                log.warning("%s is passed over: %s", key, error)
