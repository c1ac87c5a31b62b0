"""The promotion ledger: every move of the champion alias, append-only in S3."""

from __future__ import annotations

from medloop.core.events import Promotion, event_key
from medloop.stores.objects import ObjectStore


class Ledger:
    """Promotions in `promotions/dt=YYYY-MM-DD/{id}.json`."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def append(self, promotion: Promotion) -> bool:
        """Write one move; True if it was not there yet."""
        return self._objects.ensure(event_key(promotion), promotion.to_json())

    def entries(self) -> list[Promotion]:
        """All moves, oldest first."""
        keys = [info.key for info in self._objects.list("promotions") if info.key.endswith(".json")]
        return sorted(map(Promotion.from_json, self._objects.get_many(keys)), key=lambda promotion: promotion.id)
