"""The sender against stores that fail in every way and a process that is killed at any moment."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from obstore.store import LocalStore
from tests.clock import Clock
from tests.events import START, correction, image, png, review, sha256_of

from medloop.core.corrections.events import Correction, event_key, image_key
from medloop.errors import StoreError, StoreUnavailableError
from medloop.stores.corrections import CorrectionStore, event_id_of
from medloop.stores.objects import ObjectStore
from medloop.stores.outbox import Outbox
from medloop.stores.sender import LONGEST_WAIT_S, Sender, backoff_s

PNG = png(image(1))


class FailingStore(ObjectStore):
    """A store in memory whose calls can be made to fail, before or after they took effect."""

    fail: Callable[[str, str], Exception | None] = staticmethod(lambda call, key: None)
    fail_late: Callable[[str, str], Exception | None] = staticmethod(lambda call, key: None)

    def create(self, key: str, data: bytes, *, content_type: str | None = None) -> None:
        write = super().create
        self._guarded("create", key, lambda: write(key, data, content_type=content_type))

    def head(self, key: str) -> Any:
        return self._guarded("head", key, lambda: super(FailingStore, self).head(key))

    def _guarded(self, call: str, key: str, act: Callable[[], Any]) -> Any:
        if error := self.fail(call, key):
            raise error
        result = act()
        if error := self.fail_late(call, key):
            raise error
        return result


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def objects() -> FailingStore:
    return FailingStore.in_memory()


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox.db")


@pytest.fixture
def sender(outbox: Outbox, objects: FailingStore, clock: Clock) -> Sender:
    return Sender(outbox, CorrectionStore(objects), clock)


def keys(objects: ObjectStore) -> list[str]:
    return sorted(info.key for info in objects.list(""))


def test_the_image_lies_there_before_its_event(
    sender: Sender, outbox: Outbox, objects: FailingStore
) -> None:
    event = correction(sha256_of(1))
    outbox.add(event, PNG)
    created: list[str] = []
    objects.fail = lambda call, key: created.append(key) if call == "create" else None
    report = sender.send_once()
    assert (report.sent, report.failed, report.reason) == (1, 0, None)
    assert created == [image_key(sha256_of(1)), event_key(event)]
    assert objects.get(event_key(event)) == event.to_json()
    assert outbox.state(event.id) == "stored"


def test_reviews_go_the_same_way(sender: Sender, outbox: Outbox, objects: FailingStore) -> None:
    event = review(sha256_of(1), "withdraw", who="ada")
    outbox.add_review(event)
    sender.send_once()
    assert keys(objects) == [event_key(event)]


@pytest.mark.parametrize(
    "error",
    [
        StoreUnavailableError("the store cannot be reached"),
        StoreUnavailableError("the store answers 503 SlowDown"),
        StoreError("the credentials have expired: renew them"),
        StoreError("the store is full: free space"),
        StoreError("AccessDenied: give these credentials the rights"),
    ],
)
def test_whatever_the_store_says_it_stays_pending_with_the_reason(
    sender: Sender, outbox: Outbox, objects: FailingStore, error: Exception
) -> None:
    for n in range(40):
        outbox.add(correction(sha256_of(n)), PNG)
    tries: list[str] = []
    objects.fail = lambda call, key: tries.append(key) or error
    report = sender.send_once()
    assert (report.sent, report.reason) == (0, str(error))
    assert len(tries) <= 16, "a store that is away is not asked 40 times"
    status = outbox.status()
    assert (status.pending, status.last_error) == (40, str(error))
    objects.fail = lambda call, key: None
    assert sender.send_once().sent == 40
    assert outbox.status().pending == 0


def test_one_event_that_is_refused_holds_up_nobody(
    sender: Sender, outbox: Outbox, objects: FailingStore
) -> None:
    for n in range(100):
        outbox.add(correction(sha256_of(n)), PNG)
    objects.fail = lambda call, key: StoreError("refused") if sha256_of(3) in key else None
    assert sender.send_once().sent == 99
    status = outbox.status()
    assert (status.pending, status.last_error) == (1, "refused")


@pytest.mark.parametrize(
    "late", [False, True], ids=["before it takes effect", "after it took effect"]
)
@pytest.mark.parametrize("nth", range(6))
def test_a_failure_at_any_call_neither_loses_nor_doubles(
    sender: Sender, outbox: Outbox, objects: FailingStore, clock: Clock, nth: int, late: bool
) -> None:
    """Also over midnight, when the event's key changes with the day of storing."""
    events = [correction(sha256_of(n)) for n in range(2)]
    for event in events:
        outbox.add(event, PNG)
    calls = Counter()

    def fail(call: str, key: str) -> Exception | None:
        calls["all"] += 1
        return StoreUnavailableError("no answer in time") if calls["all"] == nth + 1 else None

    setattr(objects, "fail_late" if late else "fail", fail)
    sender.send_once()
    clock.now += timedelta(days=1)
    sender.send_once()
    stored = Counter(event_id_of(key) for key in keys(objects) if key.startswith("corrections/"))
    assert stored == {event.id: 1 for event in events}
    assert {image_key(event.image_sha256) for event in events} <= set(keys(objects))
    assert outbox.status().pending == 0


def test_an_event_lies_under_the_day_on_which_it_was_stored(
    sender: Sender, outbox: Outbox, objects: FailingStore, clock: Clock
) -> None:
    """A snapshot looks at the last days: what comes late must not be filed under a day long
    past.
    """
    event = correction(sha256_of(1))
    outbox.add(event, PNG)
    clock.now += timedelta(days=30)
    sender.send_once()
    assert event_key(event, day="2026-12-02") in keys(objects)


def test_an_erased_image_is_not_stored_again(
    sender: Sender, outbox: Outbox, objects: FailingStore
) -> None:
    CorrectionStore(objects).erase_image(sha256_of(1))
    outbox.add(correction(sha256_of(1)), PNG)
    outbox.add(correction(sha256_of(2)), PNG)
    outbox.forget_image(sha256_of(2))
    assert sender.send_once().sent == 2
    assert not [key for key in keys(objects) if key.endswith(".png")]


def test_in_the_background_it_stores_within_moments(sender: Sender, outbox: Outbox) -> None:
    sender.start()
    sender.start()
    try:
        receipt = outbox.add(correction(sha256_of(1)), PNG)
        sender.wake()
        assert sender.settle(receipt.event_id, timeout_s=30) == "stored"
    finally:
        sender.stop()


def test_in_the_background_it_outlasts_an_outage(
    sender: Sender, outbox: Outbox, objects: FailingStore
) -> None:
    objects.fail = lambda call, key: StoreUnavailableError("the store cannot be reached")
    sender.start()
    try:
        receipt = outbox.add(correction(sha256_of(1)), PNG)
        sender.wake()
        assert sender.settle(receipt.event_id, timeout_s=0.3) == "pending"
        objects.fail = lambda call, key: None
        assert sender.settle(receipt.event_id, timeout_s=30) == "stored"
    finally:
        sender.stop()


def test_in_the_background_it_survives_an_error_that_nobody_foresaw(
    sender: Sender, outbox: Outbox, objects: FailingStore
) -> None:
    once = iter([RuntimeError("a bug")])
    objects.fail = lambda call, key: next(once, None)
    sender.start()
    try:
        receipt = outbox.add(correction(sha256_of(1)), PNG)
        sender.wake()
        assert sender.settle(receipt.event_id, timeout_s=30) == "stored"
    finally:
        sender.stop()


def test_waiting_grows_to_a_ceiling_and_is_spread() -> None:
    waits = [backoff_s(failures, chance=0.999) for failures in range(1, 40)]
    assert waits == sorted(waits)
    assert waits[0] <= 0.5
    assert waits[-1] <= LONGEST_WAIT_S
    assert backoff_s(5, chance=0.999) - backoff_s(5, chance=0) > 3.9


CHILD = """
import itertools, sys
from datetime import UTC, datetime
from pathlib import Path
from obstore.store import LocalStore
from tests.events import correction, image, png, sha256_of
from medloop.core.corrections.events import event_id
from medloop.stores.corrections import CorrectionStore
from medloop.stores.objects import ObjectStore
from medloop.stores.outbox import Outbox
from medloop.stores.sender import Sender
import os

outbox = Outbox(Path(sys.argv[1]) / "outbox.db")
store = CorrectionStore(ObjectStore(LocalStore(sys.argv[1] + "/s3"), name="files"))
sender = Sender(outbox, store, lambda: datetime.now(UTC))
sender.start()
start = int(sys.argv[2])
for n in itertools.count(start):
    now = datetime.now(UTC)
    event = correction(sha256_of(n), id=event_id(now=now, random=os.urandom(10)), at=now)
    outbox.add(event, png(image(n)))
    sender.wake()
    print(event.id, flush=True)
"""


def test_killed_at_any_moment_it_neither_loses_nor_doubles(tmp_path: Path) -> None:
    """`kill -9` while corrections flow: what was acknowledged is stored, once, with its image."""
    (tmp_path / "s3").mkdir()
    chance = random.Random(7)
    acknowledged: list[str] = []
    for round_number in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path), str(round_number * 100_000)],
            stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        )  # fmt: skip
        assert process.stdout is not None
        acknowledged.append(process.stdout.readline().strip())
        time.sleep(chance.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        acknowledged += [line.strip() for line in process.stdout if line.endswith("\n")]
        process.wait(30)
    objects = ObjectStore(LocalStore(str(tmp_path / "s3")), name="files")
    outbox = Outbox(tmp_path / "outbox.db")
    report = Sender(outbox, CorrectionStore(objects), lambda: START).send_once()
    assert report.failed == 0
    stored = [key for key in keys(objects) if key.startswith("corrections/")]
    ids = Counter(map(event_id_of, stored))
    assert len(acknowledged) > 8
    assert set(acknowledged) <= set(ids)
    assert set(ids.values()) == {1}
    images = {Correction.from_json(raw).image_sha256 for raw in objects.get_many(stored)}
    assert {image_key(sha256) for sha256 in images} <= set(keys(objects))
