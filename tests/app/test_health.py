"""Asking the services how they are."""

from __future__ import annotations

import threading
import time

from medloop.app.monitor.health import Checkup
from medloop.errors import SettingsError, StoreUnavailableError


def refuse() -> None:
    raise StoreUnavailableError("the store at http://127.0.0.1:1 does not answer")


def lack() -> None:
    raise SettingsError("no Airflow is set")


def test_each_service_is_well_away_or_not_set():
    checkup = Checkup({"one": lambda: None, "two": refuse, "three": lack})
    assert not checkup.is_away("two")
    assert [(item.name, item.state) for item in checkup.look()] == [
        ("one", "OK"),
        ("two", "away"),
        ("three", "not set"),
    ]
    assert checkup.is_away("two")
    assert not checkup.is_away("one")
    assert not checkup.is_away("three")


def test_a_service_that_hangs_keeps_nobody_waiting_and_is_not_asked_twice():
    release, asked = threading.Event(), []

    def hang() -> None:
        asked.append(1)
        release.wait(30)

    checkup = Checkup({"slow": hang, "quick": lambda: None}, within_s=0.2)
    started = time.monotonic()
    for _ in range(3):
        slow, quick = checkup.look()
        assert (slow.state, slow.detail) == ("away", "has not answered within 0.2 seconds")
        assert quick.state == "OK"
    assert time.monotonic() - started < 5
    assert len(asked) == 1
    release.set()
    time.sleep(0.1)
    assert checkup.look()[0].state == "OK"


def test_services_are_asked_at_the_same_time():
    together = threading.Barrier(3, timeout=30)
    checkup = Checkup(dict.fromkeys(("a", "b", "c"), together.wait), within_s=30)
    assert {item.state for item in checkup.look()} == {"OK"}


def test_what_nobody_foresaw_is_told_as_away():
    def break_() -> None:
        raise ZeroDivisionError("oh")

    (found,) = Checkup({"odd": break_}).look()
    assert (found.state, found.detail) == ("away", "cannot be asked: ZeroDivisionError oh")
