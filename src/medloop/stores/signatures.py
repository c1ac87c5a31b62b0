"""Since when one bucket asks for signatures, and which unsigned events it obeys all the same.

The first process with the key of erasures writes down, once, every review and promotion that lies
in the bucket unsigned, by key and hash: those of versions that did not sign. The list lies under
`snapshots/`, where the page may not write. An unsigned event that is not on it came later, and is
not obeyed.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from typing import Final

from medloop.core.corrections.events import EVENT_KEY, Promotion, Review, read_checked
from medloop.core.corrections.signatures import Signed, SigningKeys
from medloop.errors import StoreError
from medloop.stores.objects import ObjectStore

UNSIGNED_KEY: Final = "snapshots/unsigned.json"
UNSIGNED: Final = "not signed by a key that may decide"  # why an event is left out
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Unsigned:
    events: dict[str, str]  # hash by key


class Signatures:
    """The signatures of one bucket, as a process with these keys makes and checks them."""

    def __init__(self, objects: ObjectStore, keys: SigningKeys) -> None:
        self._objects = objects
        self._keys = keys
        self._unsigned: dict[str, str] | None = None  # hash by key

    def sign(self, event: Signed) -> Signed:
        """Sign an event; it stays as it is where nobody asks for signatures.

        Raises:
            StoreError: The bucket asks for signatures, and this process has no key: nobody would
                obey it.
        """
        if self._keys.key_for(event) is None and self.unsigned() is not None:
            name = "MEDLOOP_ERASURE_KEY" if event.action == "erase" else "MEDLOOP_REVIEW_KEY"
            raise StoreError(
                f"an unsigned `{event.action}` would not be obeyed in {self._objects.name}: set "
                f"{name} to the key that the trainings there have"
            )
        return self._keys.sign(event)

    def accepts(self, event: Review | Promotion, *, key: str, raw: bytes) -> bool:
        """Check that an event is signed, or lay in the bucket before signatures were asked for.

        A process that lacks the event's key, as the page lacks that of erasures, believes any
        signature.
        """
        if self._keys.verify(event, raw):
            return True
        unsigned = self.begin()
        if unsigned is None or unsigned.get(key) == _digest(raw):
            return True
        return self._keys.key_for(event) is None and bool(event.signature)

    def check_keys(self) -> None:
        """Refuse to go on where signatures are asked for and this process has not all keys."""
        if not (self._keys.erasure and self._keys.review) and self.unsigned() is not None:
            raise StoreError(
                f"reviews and erasures in {self._objects.name} are signed: set MEDLOOP_REVIEW_KEY "
                "and MEDLOOP_ERASURE_KEY, or forged ones would be obeyed"
            )

    def begin(self) -> dict[str, str] | None:
        """Ask for signatures from now on, if this process may say so; what is obeyed without one.

        Safe to call again, and at once: the first list stays.
        """
        if self.unsigned() is None and self._keys.erasure and self._keys.review:
            found = self._list_unsigned()
            body = json.dumps({"schema": 1, "events": found}, sort_keys=True)
            if self._objects.ensure(UNSIGNED_KEY, body.encode()):
                log.info("reviews are signed from now on; %d older ones are obeyed", len(found))
        return self.unsigned()

    def unsigned(self) -> dict[str, str] | None:
        """Read which events are obeyed without a signature; None while the bucket asks for none."""
        if self._unsigned is None and (raw := self._objects.find(UNSIGNED_KEY)) is not None:
            try:
                self._unsigned = read_checked(_Unsigned, raw).events
            except StoreError as error:
                raise StoreError(
                    f"{UNSIGNED_KEY} is damaged ({error}): restore it, or delete it if every review "
                    "that lies in the bucket now may be obeyed"
                ) from error
        return self._unsigned

    def _list_unsigned(self) -> dict[str, str]:
        found = {}
        for folder, kind in (("reviews", Review), ("promotions", Promotion)):
            listed = [info.key for info in self._objects.list(folder)]
            keys = [key for key in listed if EVENT_KEY.fullmatch(key)]
            for key, raw in zip(keys, self._objects.find_many(keys), strict=True):
                try:
                    if raw is not None and not self._keys.verify(kind.from_json(raw), raw):
                        found[key] = _digest(raw)
                except StoreError:
                    continue  # never obeyed before, either
        return found


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
