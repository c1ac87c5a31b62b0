"""People who correct: one at a time, fifty at once, through an outage, and while processes are killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.corrections.world import loop_on, new_bucket, picture, store
from medloop.core.events import Correction, image_key
from medloop.jobs.correct import correct
from medloop.jobs.loop import Loop
from medloop.stores.corrections import event_id_of

WARM_UP = 20


def latency(*, count: int = 500) -> dict[str, Any]:
    """Milliseconds until a correction is on disk, and until it is in S3, one after the other."""
    with store() as server, tempfile.TemporaryDirectory() as home:
        loop = loop_on(server, Path(home))
        loop.sender.start()
        on_disk, in_s3 = [], []
        for number in range(count + WARM_UP):
            started = time.perf_counter()
            event_id = say(loop, number)
            on_disk.append((time.perf_counter() - started) * 1000)
            assert loop.sender.settle(event_id, 30) == "stored"
            in_s3.append((time.perf_counter() - started) * 1000)
        loop.sender.stop()
    return {"n": count, "outbox_ms": spread(on_disk[WARM_UP:]), "stored_ms": spread(in_s3[WARM_UP:])}


def users(*, people: int = 50, seconds: float = 300) -> dict[str, Any]:
    """So many people at once, each with a thought of 0.5 to 1.5 s between two corrections."""
    with store() as server, tempfile.TemporaryDirectory() as home:
        loop = loop_on(server, Path(home))
        loop.sender.start()
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
                    acknowledged.append(say(loop, serial, who=f"user {number}"))
                except Exception as error:
                    errors.append(repr(error))
                took.append((time.perf_counter() - started) * 1000)
                time.sleep(chance.uniform(0.5, 1.5))

        _together([threading.Thread(target=person, args=(number,)) for number in range(people)])
        _drain(loop, 60)
        stored = stored_ids(loop)
        loop.sender.stop()
    return {
        "people": people, "seconds": seconds, "n": len(took), "errors": len(errors),
        "acknowledged_ms": spread(took), **_compare(acknowledged, stored),
    }  # fmt: skip


def outage(*, seconds: float = 600, rate: float = 5) -> dict[str, Any]:
    """S3 killed for so long under so many corrections a second; seconds until all are stored after its return."""
    with store() as server, tempfile.TemporaryDirectory() as home:
        loop = loop_on(server, Path(home))
        loop.sender.start()
        acknowledged = [say(loop, 0)]
        assert loop.sender.settle(acknowledged[0], 30) == "stored"
        server.kill()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            acknowledged.append(say(loop, len(acknowledged)))
            time.sleep(1 / rate)
        reason = loop.outbox.status().last_error
        server.start()
        returned = time.monotonic()
        _drain(loop, 120)
        took = time.monotonic() - returned
        stored = stored_ids(loop)
        loop.sender.stop()
    return {
        "away_s": seconds, "rate": rate, "reason_shown": reason, "all_stored_after_s": round(took, 1),
        **_compare(acknowledged, stored),
    }  # fmt: skip


FRONT_END = """
import itertools, os, sys
from pathlib import Path
from benchmarks.corrections.people import say
from medloop.settings import Settings
from medloop.wiring import connect
home, start = Path(sys.argv[1]), int(sys.argv[2])
loop = connect(Settings(home=home, identity="plain"))
loop.sender.start()
for number in itertools.count(start):
    print(say(loop, number), number, flush=True)
"""


def faults(*, rounds: int = 200) -> dict[str, Any]:
    """Kill -9 of the front end or of S3 at a random moment, round after round, with corrections flowing."""
    chance = random.Random(11)
    acknowledged: dict[str, int] = {}
    with store() as server, tempfile.TemporaryDirectory() as home:
        bucket = new_bucket(server)
        environment = {**os.environ, **server.environment, "MEDLOOP_S3_BUCKET": bucket}
        process = _front_end(home, 0, environment)
        killed: Counter[str] = Counter()
        for number in range(1, rounds + 1):
            time.sleep(chance.uniform(0.05, 0.6))
            victim = chance.choice(["front end", "S3"])
            killed[victim] += 1
            if victim == "S3":
                server.kill()
                time.sleep(chance.uniform(0, 0.5))
                server.start()
            else:
                _kill(process, acknowledged)
                process = _front_end(home, number * 1_000_000, environment)
        _kill(process, acknowledged)
        loop = loop_on(server, Path(home), bucket=bucket)
        loop.sender.send_once()
        pending = loop.outbox.status().pending
        stored = stored_ids(loop)
        wrong = _wrong(loop, acknowledged)
    return {
        "rounds": rounds, "killed": dict(killed), "pending": pending, "wrong_images": wrong,
        **_compare(list(acknowledged), stored),
    }  # fmt: skip


def say(loop: Loop, number: int, *, who: str = "ada") -> str:
    """A correction of picture `number`; the event id, once it is on disk."""
    shown = picture(number)
    receipt = correct(loop, image=shown, given_label="Hand", prediction=None, model_version="1", who=who)
    return receipt.event_id


def stored_ids(loop: Loop) -> Counter[str]:
    """How often each event lies in the bucket."""
    return Counter(event_id_of(info.key) for info in loop.objects.list("corrections"))


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


def _wrong(loop: Loop, acknowledged: dict[str, int]) -> int:
    """Events whose stored image or label is not what that person saw and said."""
    keys = [info.key for info in loop.objects.list("corrections")]
    events = [Correction.from_json(raw) for raw in loop.objects.get_many(keys)]
    there = {info.key for info in loop.objects.list("images")}
    return sum(
        event.given_label != "Hand"
        or image_key(event.image_sha256) not in there
        or (event.id in acknowledged and picture(acknowledged[event.id]).sha256 != event.image_sha256)
        for event in events
    )


def _front_end(home: str, start: int, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", FRONT_END, home, str(start)],
        stdout=subprocess.PIPE, text=True, env=environment, cwd=Path(__file__).parents[2],
    )  # fmt: skip


def _kill(process: subprocess.Popen[str], acknowledged: dict[str, int]) -> None:
    process.send_signal(signal.SIGKILL)
    assert process.stdout is not None
    for line in process.stdout:
        if line.endswith("\n"):
            event_id, number = line.split()
            acknowledged[event_id] = int(number)
    process.wait(30)


def _together(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _drain(loop: Loop, timeout_s: float) -> None:
    until = time.monotonic() + timeout_s
    while loop.outbox.status().pending and time.monotonic() < until:
        time.sleep(0.1)
