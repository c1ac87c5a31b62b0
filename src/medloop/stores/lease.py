"""A lease in S3: one holder at a time, anywhere, that ends by itself when the holder dies.

Taken and renewed by compare-and-swap. The object stays after the release, so that the fencing token
only grows. An object that no holder can have written, such as one that claims to last for years,
holds nobody up: the next one replaces it. Nor does a dead holder whose clock was ahead: who wants
the lease watches it for its length. A clock that is ahead may take a living holder's lease away;
the fencing token then stops that holder.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from medloop.core.printable import printable
from medloop.errors import AlreadyExistsError, NotFoundError, StaleError, StoreError
from medloop.stores.objects import ObjectStore

LONGEST: Final = timedelta(hours=6)  # no holder claims as much, even with a clock hours ahead

log = logging.getLogger(__name__)


class LeaseHeldError(StaleError):
    """Somebody else holds the lease; the message says who and until when."""


@dataclass(frozen=True, slots=True)
class LeaseState:
    """The content of the lease object. `token` grows by one with every new holder."""

    __pydantic_config__ = ConfigDict(strict=True)

    owner: Annotated[str, Field(max_length=1000)] | None
    token: Annotated[int, Field(ge=0, lt=1 << 52)]  # far from where JSON loses whole numbers
    expires_at: str  # ISO 8601, UTC

    def is_free(self, now: datetime) -> bool:
        """Tell whether nobody holds it at `now`, or nobody can."""
        if self.owner is None:
            return True
        try:
            until = datetime.fromisoformat(self.expires_at) - now
        except (ValueError, TypeError, OverflowError):  # no time, or one without its zone
            return True
        return not timedelta(0) < until <= LONGEST


READER: Final = TypeAdapter(LeaseState)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Lease:
    """The lease under one key."""

    def __init__(
        self, objects: ObjectStore, key: str, *, now: Callable[[], datetime] = _utc_now
    ) -> None:
        self._objects = objects
        self._key = key
        self._now = now

    @contextmanager
    def hold(self, owner: str, ttl_s: float = 60.0) -> Iterator[Held]:
        """Hold the lease for the block, renewed by a thread; the same owner may take it over again.

        Args:
            owner: Names the run, in a way that no other run shares.
            ttl_s: How long the lease outlives a holder that was killed.

        Raises:
            LeaseHeldError: Somebody else holds it.
        """
        held = self._take(owner, ttl_s)
        stop = threading.Event()
        renewer = threading.Thread(target=held.keep, args=(stop,), name="lease", daemon=True)
        renewer.start()
        try:
            yield held
        finally:
            stop.set()
            renewer.join()
            held.release()

    def state(self) -> LeaseState | None:
        """Read who holds it or held it last; None where it was never taken."""
        raw = self._objects.find(self._key)
        return self._parse(raw) if raw is not None else None

    def _take(self, owner: str, ttl_s: float) -> Held:
        for _ in range(5):  # a lost race shows who won, or that they are gone already
            try:
                raw, e_tag = self._objects.get_versioned(self._key)
            except NotFoundError:
                first = self._held_by(owner, token=1, ttl_s=ttl_s)
                try:
                    self._objects.create(self._key, _dump(first))
                except AlreadyExistsError:
                    continue
                return Held(self, first, ttl_s)
            current = self._parse(raw)
            free = current.is_free(self._now()) or current.owner == owner
            if not (free or self._is_abandoned(current, e_tag, ttl_s)):
                raise LeaseHeldError(
                    f"{printable(current.owner or '')} is at work until "
                    f"{printable(current.expires_at)} at least; try again later"
                )
            mine = self._held_by(owner, token=current.token + 1, ttl_s=ttl_s)
            try:
                self._objects.replace(self._key, _dump(mine), e_tag)
            except StaleError:
                continue
            return Held(self, mine, ttl_s)
        raise LeaseHeldError(f"{self._key} changes hands all the time; try again later")

    def _is_abandoned(self, current: LeaseState, e_tag: str, ttl_s: float) -> bool:
        """Tell if a holder whose clock is ahead of ours has died: it would renew within `ttl_s`.

        Where the clocks agree, the time in the lease says so by itself.
        """
        left = datetime.fromisoformat(current.expires_at) - self._now()
        if left <= timedelta(seconds=ttl_s):
            return False
        until = time.monotonic() + ttl_s
        while time.monotonic() < until:
            time.sleep(ttl_s / 30)
            if self._objects.get_versioned(self._key)[1] != e_tag:
                return False
        return True

    def _parse(self, raw: bytes) -> LeaseState:
        """Read the object; a damaged one is nobody's, with a token that no holder can have."""
        try:
            return READER.validate_json(raw)
        except ValidationError:
            log.warning("%s is no lease: the next holder replaces it", self._key)
            now = self._now()
            return LeaseState(None, int(now.timestamp() * 1000), now.isoformat())

    def _held_by(self, owner: str | None, *, token: int, ttl_s: float) -> LeaseState:
        until = self._now() + timedelta(seconds=ttl_s)
        return LeaseState(
            owner=owner, token=token, expires_at=until.isoformat(timespec="milliseconds")
        )

    def _swap(self, *, token: int, owner: str | None, ttl_s: float) -> LeaseState:
        raw, e_tag = self._objects.get_versioned(self._key)
        current = self._parse(raw)
        if current.token != token:
            raise StaleError(f"the lease passed to {current.owner}: this run must stop")
        state = self._held_by(owner, token=token, ttl_s=ttl_s)
        self._objects.replace(self._key, _dump(state), e_tag)
        return state


class Held:
    """A lease in somebody's hand. A write with a smaller `token` comes from a former holder."""

    def __init__(self, lease: Lease, state: LeaseState, ttl_s: float) -> None:
        self._lease = lease
        self._state = state
        self._ttl_s = ttl_s
        self._lost: StaleError | None = None
        # The renewing thread and the holder must not take each other for a thief.
        self._checking = threading.Lock()
        self.token = state.token

    def check(self) -> None:
        """Ask the store whether the lease is still ours, and renew it; `StaleError` if not."""
        with self._checking:
            if self._lost:
                raise self._lost
            try:
                self._state = self._lease._swap(
                    token=self.token, owner=self._state.owner, ttl_s=self._ttl_s
                )
            except StaleError as error:
                self._lost = error
                raise

    def keep(self, stop: threading.Event) -> None:
        """Renew until `stop`; a store that is away for a moment is asked again."""
        while not stop.wait(self._ttl_s / 3):
            try:
                self.check()
            except StaleError:
                return
            except StoreError:
                continue

    def release(self) -> None:
        """Let others in at once. A store that is away lets them in when the time is over."""
        if self._lost is None:
            with suppress(StoreError):
                self._lease._swap(token=self.token, owner=None, ttl_s=0.0)


def _dump(state: LeaseState) -> bytes:
    return json.dumps(asdict(state), sort_keys=True).encode()
