"""Signatures of reviews and promotions: who may write an object need not be who may decide.

HMAC-SHA256 over the event's own bytes. An erasure is signed by a key of its own, which the page
never holds. Where and since when signatures are asked for is `medloop.stores.signatures`' part.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass, replace
from typing import TypeVar

from medloop.core.corrections.events import Promotion, Review, canonical

Signed = TypeVar("Signed", Review, Promotion)


@dataclass(frozen=True, slots=True, repr=False)
class SigningKeys:
    """Secrets of this process; a process that may not decide has none."""

    review: bytes | None = None  # of reviews, withdrawals, flags and promotions
    erasure: bytes | None = None

    def key_for(self, event: Review | Promotion) -> bytes | None:
        """Choose the key that such an event is signed with."""
        return self.erasure if event.action == "erase" else self.review

    def sign(self, event: Signed) -> Signed:
        """Sign an event; without its key it stays as it is."""
        key = self.key_for(event)
        if key is None or event.signature:
            return event
        return replace(event, signature=_digest(key, event.to_json()))

    def verify(self, event: Review | Promotion, raw: bytes) -> bool:
        """Check that a holder of the key wrote just these bytes."""
        key = self.key_for(event)
        try:
            body = json.loads(raw)
            if key is None or canonical(body) != raw:  # such as two values under one name
                return False
        except ValueError:
            return False
        claimed = body.pop("signature", "")
        return hmac.compare_digest(_digest(key, canonical(body)), claimed)


def _digest(key: bytes, content: bytes) -> str:
    return hmac.new(key, content, "sha256").hexdigest()
