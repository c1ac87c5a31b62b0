"""A key per comparison of the gate: the same one has the same key, and is not made twice.

Says nothing of how it came out. Light: whoever promotes needs it, and none of what measures.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from medloop.stores.acceptance_sets import AcceptanceSet, Declaration

# Changes when the gate's rules do, so that old reports don't count as new ones.
GATE_RULES: Final = "9"


def comparison_key(
    version: str,
    *,
    champion: str,
    reference: str | None,
    sets: Sequence[AcceptanceSet | Declaration],
) -> str:
    """Hash a comparison under the gate's rules of today; `sets` in the order of their names."""
    parts = [
        GATE_RULES,
        version,
        champion,
        reference,
        [(item.name, item.set_id, item.floor) for item in sets],
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
