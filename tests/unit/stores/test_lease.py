import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from tests.clock import Clock
from tests.events import START

from medloop.errors import StaleError
from medloop.stores.lease import Lease, LeaseHeldError
from medloop.stores.objects import ObjectStore

KEY = "leases/retrain.json"


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def objects() -> ObjectStore:
    return ObjectStore.in_memory()


@pytest.fixture
def lease(objects: ObjectStore, clock: Clock) -> Lease:
    return Lease(objects, KEY, now=clock)


def test_while_one_holds_it_another_is_told_who(lease: Lease) -> None:
    with lease.hold("run a"), pytest.raises(LeaseHeldError, match="run a"), lease.hold("run b"):
        pass
    with lease.hold("run b"):
        assert lease.state().owner == "run b"


def test_it_is_free_again_after_an_error(lease: Lease) -> None:
    with pytest.raises(ZeroDivisionError), lease.hold("run a"):
        raise ZeroDivisionError
    assert lease.state().owner is None


def test_a_dead_holder_loses_it_when_the_time_is_over(lease: Lease, clock: Clock) -> None:
    dead = lease._take("run a", ttl_s=60)
    clock.now += timedelta(seconds=59)
    with pytest.raises(LeaseHeldError), lease.hold("run b"):
        pass
    clock.now += timedelta(seconds=1)
    with lease.hold("run b") as held:
        assert held.token > dead.token
        with pytest.raises(StaleError, match="run b"):
            dead.check()


def test_a_former_holder_does_not_release_the_next_ones_lease(lease: Lease, clock: Clock) -> None:
    dead = lease._take("run a", ttl_s=60)
    clock.now += timedelta(seconds=61)
    with lease.hold("run b"):
        dead.release()
        assert lease.state().owner == "run b"


def test_tokens_only_grow(lease: Lease) -> None:
    tokens = []
    for run in "abc":
        with lease.hold(run) as held:
            tokens.append(held.token)
    assert tokens == [1, 2, 3]


def test_a_retried_run_takes_its_own_lease_over(lease: Lease) -> None:
    killed = lease._take("run a", ttl_s=60)
    with lease.hold("run a") as held:
        assert held.token == killed.token + 1


def test_checking_renews_it(lease: Lease, clock: Clock) -> None:
    with lease.hold("run a", ttl_s=60) as held:
        clock.now += timedelta(seconds=50)
        held.check()
        clock.now += timedelta(seconds=50)
        with pytest.raises(LeaseHeldError), lease.hold("run b"):
            pass


def test_a_long_run_keeps_it_without_doing_anything(objects: ObjectStore) -> None:
    lease = Lease(objects, KEY)
    with lease.hold("run a", ttl_s=0.3):
        first = lease.state().expires_at
        until = time.monotonic() + 10
        while lease.state().expires_at == first and time.monotonic() < until:
            time.sleep(0.01)
        with pytest.raises(LeaseHeldError):
            lease._take("run b", ttl_s=60)


def test_of_many_that_want_it_one_gets_it(objects: ObjectStore, clock: Clock) -> None:
    def attempt(number: int) -> int:
        try:
            return Lease(objects, KEY, now=clock)._take(f"run {number}", ttl_s=60).token
        except LeaseHeldError:
            return 0

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(attempt, range(8))) == [0] * 7 + [1]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"[" * 5000,
        b'{"owner": 1, "token": "x", "expires_at": null}',
        b'{"owner": "eve", "token": 1, "expires_at": "2026-13-45"}',
        b'{"owner": "eve", "token": 1, "expires_at": "2026-11-02T09:00:30"}',
        b'{"owner": "eve", "token": 1, "expires_at": "9999-12-31T23:59:59+00:00"}',
        b'{"owner": "eve", "token": 1, "expires_at": "0001-01-01T00:00:00+23:59"}',
        b'{"owner": "eve", "token": -1, "expires_at": "2026-11-02T09:00:30+00:00"}',
        b'{"owner": null, "token": 9007199254740991, "expires_at": "2026-11-02T09:00:30+00:00"}',
        b'{"owner": "eve", "token": 1e400, "expires_at": "2026-11-02T09:00:30+00:00"}',
    ],
)
def test_what_no_holder_can_have_written_holds_nobody_up(
    objects: ObjectStore, lease: Lease, raw: bytes
) -> None:
    first = lease._take("run a", ttl_s=60)
    objects.put(KEY, raw)
    assert lease.state() is not None
    with lease.hold("run b") as held:
        assert held.token > first.token
        with pytest.raises(StaleError):
            first.check()


def test_a_holder_whose_clock_is_two_hours_ahead_keeps_its_lease(
    objects: ObjectStore, clock: Clock
) -> None:
    ahead = Lease(objects, KEY, now=Clock(START + timedelta(hours=2)))
    with ahead.hold("run a", ttl_s=0.3), pytest.raises(LeaseHeldError):
        Lease(objects, KEY, now=clock)._take("run b", ttl_s=0.9)


def test_a_dead_holder_whose_clock_was_ahead_holds_nobody_up(lease: Lease, clock: Clock) -> None:
    clock.now += timedelta(hours=2)
    dead = lease._take("run a", ttl_s=0.3)
    clock.now -= timedelta(hours=2)
    with lease.hold("run b", ttl_s=0.3) as held:
        assert held.token > dead.token


def test_nobody_ever_held_it(lease: Lease) -> None:
    assert lease.state() is None


def test_the_holder_and_its_renewing_thread_do_not_take_each_other_for_a_thief(
    objects: ObjectStore,
) -> None:
    with Lease(objects, KEY).hold("run a") as held, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: held.check(), range(200)))


def test_a_holders_strange_words_steer_no_terminal(objects: ObjectStore, lease: Lease) -> None:
    until = (START + timedelta(minutes=1)).isoformat(sep="\n")
    owner = "eve\x1b[2J"
    objects.put(KEY, json.dumps({"owner": owner, "token": 1, "expires_at": until}).encode())
    with pytest.raises(LeaseHeldError) as held, lease.hold("run b"):
        pass
    assert str(held.value).isprintable()
