"""Misspelt names, with what may have been meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def with_closest(name: str, known: Iterable[str]) -> str:
    """Quote a name, and add the known one that is spelt most like it."""
    by_small = {other.lower(): other for other in known}
    closest = get_close_matches(name.lower(), by_small, n=1)
    meant = f" (did you mean {by_small[closest[0]]!r}?)" if closest else ""
    return f"{name[:80]!r}{meant}"
