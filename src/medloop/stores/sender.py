"""Sends the outbox to S3 in the background, for as long as it takes.

Sending is at least once and idempotent (keys are content hashes and event ids, writes are
conditional): a crash at any instruction neither loses nor doubles an event.
"""

from __future__ import annotations

import fcntl
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.pool import ThreadPool  # its threads keep no process alive
from typing import Final

from medloop.core.corrections.events import Correction
from medloop.errors import MedloopError, StoreError
from medloop.stores.corrections import CorrectionStore
from medloop.stores.outbox import Outbox, Pending, State

BATCH: Final = 128  # events in memory at once, with their images
CONCURRENCY: Final = 16
FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 10.0  # all is stored within a minute of the store's return
IDLE_S: Final = 15.0  # how often a sender looks for what another process's sender left behind

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SendReport:
    """What one pass over the outbox did."""

    sent: int
    failed: int
    reason: str | None  # why the last one failed, in words


def backoff_s(failures: int, *, chance: float) -> float:
    """Compute the seconds to wait after failures in a row; `chance` in [0, 1) spreads senders."""
    ceiling = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(failures - 1, 16))
    return ceiling * (0.5 + 0.5 * chance)


class Sender:
    """The background thread of one process; several processes may share an outbox."""

    def __init__(self, outbox: Outbox, store: CorrectionStore, now: Callable[[], datetime]) -> None:
        self._outbox = outbox
        self._store = store
        self._now = now
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._progress = threading.Condition()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, unless it runs; a forked child starts its own."""
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._stopping.clear()
                self._thread = threading.Thread(target=self._run, name="outbox-sender", daemon=True)
                self._thread.start()

    def stop(self, timeout_s: float = 30.0) -> None:
        """Finish what is in flight and end the thread; the rest stays in the outbox."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def wake(self) -> None:
        """Look for something new now, unless a back-off is running."""
        self._wake.set()

    def settle(self, event_id: str, timeout_s: float) -> State:
        """Wait until the event is in S3, at most `timeout_s`; the state then."""
        until = time.monotonic() + timeout_s
        with self._progress:
            while (state := self._outbox.state(event_id)) == "pending":
                remaining = until - time.monotonic()
                if remaining <= 0:
                    break
                self._progress.wait(min(remaining, 0.5))  # another process's sender may be the one
        return state

    def send_once(self) -> SendReport:
        """Send all that waits, in this thread; stop early if nothing gets through."""
        sent = failed = 0
        reason = None
        with self._alone():
            total = self._outbox.status().pending
            while sent + failed < total:
                stored, refused, why = self._send_batch()
                sent, failed, reason = sent + stored, failed + refused, why or reason
                if stored == 0:
                    break
        return SendReport(sent=sent, failed=failed, reason=reason)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            self._wake.clear()
            reason = self._pass()
            if reason is None:
                if failures:
                    log.info("outbox: sending works again")
                failures = 0
                self._wake.wait(IDLE_S)
                continue
            failures += 1
            if failures == 1:
                log.warning("outbox: %s", reason)
            self._stopping.wait(backoff_s(failures, chance=random.random()))  # noqa: S311

    def _pass(self) -> str | None:
        try:
            return self.send_once().reason
        except MedloopError as error:
            return str(error)
        except Exception as error:
            log.exception("outbox: the sender goes on after an error that it does not know")
            return f"{type(error).__name__}: {error}"

    def _send_batch(self) -> tuple[int, int, str | None]:
        """Send one batch: how many were stored, how many failed, and why the last failed."""
        batch = self._outbox.pending(BATCH)
        today = self._now().astimezone(UTC).strftime("%Y-%m-%d")
        stored: list[int] = []
        failed: list[int] = []
        reason: str | None = None
        with ThreadPool(CONCURRENCY) as pool:
            try:
                stored += self._bring_to(today, batch, pool)
            except StoreError as error:
                failed, reason = [item.seq for item in batch[:1]], str(error)
            waiting = [item for item in batch if item.seq not in stored]
            for start in range(0, len(waiting), CONCURRENCY):
                if failed and not stored:
                    break  # nothing gets through: a store that is away is not asked per event
                wave = waiting[start : start + CONCURRENCY]
                answers = pool.map(lambda item: self._try(item, today), wave)
                for item, why in zip(wave, answers, strict=True):
                    (failed if why else stored).append(item.seq)
                    reason = why or reason
        self._record(stored, failed, reason)
        return len(stored), len(failed), reason

    def _bring_to(self, today: str, batch: Sequence[Pending], pool: ThreadPool) -> list[int]:
        """Move events that no earlier day's try stored to today; return the stored ones."""
        earlier = [item for item in batch if item.day != today]
        there = pool.map(lambda item: self._store.has(item.event, day=item.day), earlier)
        if moved := [item.seq for item, known in zip(earlier, there, strict=True) if not known]:
            self._outbox.move_to_day(moved, today)
        return [item.seq for item, known in zip(earlier, there, strict=True) if known]

    def _record(self, stored: Sequence[int], failed: Sequence[int], reason: str | None) -> None:
        if stored:
            self._outbox.mark_stored(stored)
        if failed:
            self._outbox.mark_failed(failed, reason or "")
        with self._progress:
            self._progress.notify_all()

    def _try(self, item: Pending, today: str) -> str | None:
        """Store one event; None, or why that failed."""
        try:
            if isinstance(item.event, Correction):
                self._store.put(item.event, item.png, day=today)
            else:
                self._store.put_review(item.event, day=today)
        except StoreError as error:
            return str(error)
        return None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes' senders waiting; the kernel frees the lock of a killed one."""
        self._outbox.lock_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self._outbox.lock_path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)
