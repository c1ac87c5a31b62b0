"""People who correct: one at a time, fifty at once, and through an outage."""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.corrections.world import loop_on, picture, store
from medloop.jobs.context import Context
from medloop.jobs.correct import correct
from medloop.stores.corrections import event_id_of

WARM_UP = 20


def latency(*, count: int = 500) -> dict[str, Any]:
    """Milliseconds until a correction is on disk, and until it is in S3, one after the other."""
    with store() as server, tempfile.TemporaryDirectory() as home:
        context = loop_on(server, Path(home))
        context.sender.start()
        on_disk, in_s3 = [], []
        for number in range(count + WARM_UP):
            started = time.perf_counter()
            event_id = say(context, number)
            on_disk.append((time.perf_counter() - started) * 1000)
            assert context.sender.settle(event_id, 30) == "stored"
            in_s3.append((time.perf_counter() - started) * 1000)
        context.sender.stop()
    return {
        "n": count,
        "outbox_ms": spread(on_disk[WARM_UP:]),
        "stored_ms": spread(in_s3[WARM_UP:]),
    }


def users(*, people: int = 50, seconds: float = 300) -> dict[str, Any]:
    """So many people at once, each with a thought of 0.5 to 1.5 s between two corrections."""
    with store() as server, tempfile.TemporaryDirectory() as home:
        context = loop_on(server, Path(home))
        context.sender.start()
        acknowledged: list[str] = []
        took: list[float] = []
        errors: list[str] = []
        until = time.monotonic() + seconds

        def person(number: int) -> None:
            chance = random.Random(number)
            serial = number * 1_000_000
            while time.monotonic() < until:
                serial += 1
                started = time.perf_counter()
                try:
                    acknowledged.append(say(context, serial, who=f"user {number}"))
                except Exception as error:
                    errors.append(repr(error))
                took.append((time.perf_counter() - started) * 1000)
                time.sleep(chance.uniform(0.5, 1.5))

        _together([threading.Thread(target=person, args=(number,)) for number in range(people)])
        _drain(context, 60)
        stored = stored_ids(context)
        context.sender.stop()
    return {
        "people": people, "seconds": seconds, "n": len(took), "errors": len(errors),
        "acknowledged_ms": spread(took), **_compare(acknowledged, stored),
    }  # fmt: skip


def outage(*, seconds: float = 600, rate: float = 5) -> dict[str, Any]:
    """Kill S3 for so long under corrections; time how long storing all takes after its return."""
    with store() as server, tempfile.TemporaryDirectory() as home:
        context = loop_on(server, Path(home))
        context.sender.start()
        acknowledged = [say(context, 0)]
        assert context.sender.settle(acknowledged[0], 30) == "stored"
        server.kill()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            acknowledged.append(say(context, len(acknowledged)))
            time.sleep(1 / rate)
        reason = context.outbox.status().last_error
        server.start()
        returned = time.monotonic()
        _drain(context, 120)
        took = time.monotonic() - returned
        stored = stored_ids(context)
        context.sender.stop()
    return {
        "away_s": seconds, "rate": rate, "reason_shown": reason,
        "all_stored_after_s": round(took, 1), **_compare(acknowledged, stored),
    }  # fmt: skip


def say(context: Context, number: int, *, who: str = "ada") -> str:
    """A correction of picture `number`; the event id, once it is on disk."""
    shown = picture(number)
    receipt = correct(
        context, image=shown, given_label="Hand", prediction=None, model_version="1", who=who
    )
    return receipt.event_id


def stored_ids(context: Context) -> Counter[str]:
    """Count each event in the bucket."""
    return Counter(event_id_of(info.key) for info in context.objects.list("corrections"))


def spread(milliseconds: list[float]) -> dict[str, float]:
    """Median and tail."""
    ordered = sorted(milliseconds)
    at = {name: ordered[min(int(len(ordered) * share), len(ordered) - 1)] for name, share in
          (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))}  # fmt: skip
    return {name: round(value, 1) for name, value in at.items()}


def _compare(acknowledged: list[str], stored: Counter[str]) -> dict[str, int]:
    return {
        "acknowledged": len(acknowledged),
        "lost": len(set(acknowledged) - set(stored)),
        "doubled": sum(count - 1 for count in stored.values()),
    }


def _together(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _drain(context: Context, timeout_s: float) -> None:
    until = time.monotonic() + timeout_s
    while context.outbox.status().pending and time.monotonic() < until:
        time.sleep(0.1)
