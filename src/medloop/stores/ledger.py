"""The promotion ledger: every move of the champion alias, append-only in S3."""

from __future__ import annotations

import logging
from typing import Final

from medloop.core.corrections.events import EVENT_KEY, Promotion, event_key
from medloop.errors import StoreError
from medloop.stores.objects import ObjectStore
from medloop.stores.signatures import UNSIGNED, Signatures

MAX_BYTES: Final = 8 << 20  # of one move, with a gate report

log = logging.getLogger(__name__)


class Ledger:
    """Promotions in `promotions/dt=YYYY-MM-DD/{id}.json`."""

    def __init__(self, objects: ObjectStore, signatures: Signatures | None = None) -> None:
        self._objects = objects
        self._signatures = signatures

    def append(self, promotion: Promotion) -> bool:
        """Sign and write one move; True if it was not there yet."""
        if self._signatures is not None:
            promotion = self._signatures.sign(promotion)
        return self._objects.ensure(event_key(promotion), promotion.to_json())

    def entries(self) -> list[Promotion]:
        """Read all moves, oldest first; what is no move keeps nobody from rolling back."""
        return self.read()[0]

    def read(self) -> tuple[list[Promotion], dict[str, str]]:
        """Read all moves, oldest first, and, by key, why other objects are passed over."""
        listed = {info.key: info.size_bytes for info in self._objects.list("promotions")}
        keys = [key for key in listed if EVENT_KEY.fullmatch(key) and listed[key] <= MAX_BYTES]
        left_out = dict.fromkeys(set(listed) - set(keys), "no key of an event, or too large")
        moves: list[Promotion] = []
        for key, raw in zip(keys, self._objects.find_many(keys), strict=True):
            try:
                move = Promotion.from_json(raw or b"")
            except StoreError as error:
                left_out[key] = str(error)
                continue
            if event_key(move) != key:
                left_out[key] = "a copy: its key is another event's"
            elif self._signatures is None or self._signatures.accepts(
                move, key=key, raw=raw or b""
            ):
                moves.append(move)
            else:
                left_out[key] = UNSIGNED
        for key, why in left_out.items():
            log.warning("%r is passed over: %s", key, why)
        return sorted(moves, key=lambda promotion: promotion.id), left_out
