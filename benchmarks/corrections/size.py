"""Snapshots and folds at size, and the recipe of the published system beside ours."""

from __future__ import annotations

import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.servers import SeaweedFS

from benchmarks.corrections.people import say, spread
from benchmarks.corrections.world import event_for, fill, loop_on, new_bucket, picture, store
from medloop.core.corrections.events import Review, event_id
from medloop.core.corrections.fold import Event, fold
from medloop.core.imaging.decode import encode_png
from medloop.jobs.context import Context
from medloop.jobs.screen import screened_snapshot
from medloop.jobs.snapshot import SnapshotResult, snapshot

DAYS = 100  # over which a large store's corrections are spread


def snapshots(*, there: int = 100_000, new: int = 1_000, repeat: int = 5) -> dict[str, Any]:
    """Time snapshots of `new` corrections, also screened, in an empty store and on `there` more."""
    with store() as server, tempfile.TemporaryDirectory() as home:
        warm = loop_on(server, Path(home))
        warm.datasets.get(None)  # the base data set's id, which a process reads once
        _screened(warm)  # what a process imports once
        empty = [
            _on(loop_on(server, Path(home)), new, 20_000_000 + n * new, _plain)
            for n in range(repeat)
        ]
        screened = [
            _on(loop_on(server, Path(home)), new, 30_000_000 + n * new, _screened)
            for n in range(repeat)
        ]
        context = loop_on(server, Path(home))
        fill(context.objects, count=there, first=0, days=DAYS)
        started = time.perf_counter()
        first = snapshot(context)
        first_s = time.perf_counter() - started
        assert first.corrections == there
        large = [_on(context, new, 10_000_000 + n * new, _plain) for n in range(repeat)]
        screened_large = [_on(context, new, 40_000_000 + n * new, _screened) for n in range(repeat)]
        started = time.perf_counter()
        loaded = context.snapshots.load(snapshot(context).snapshot_id)
        load_s = time.perf_counter() - started
    return {
        "there": there, "new": new, "n": repeat,
        "on_empty_s": _rounded(empty), "on_large_s": _rounded(large),
        "ratio_of_medians": _ratio(large, empty),
        "screened_on_empty_s": _rounded(screened), "screened_on_large_s": _rounded(screened_large),
        "screened_ratio_of_medians": _ratio(screened_large, screened),
        "first_s": round(first_s, 1), "load_s": round(load_s, 1), "accepted": len(loaded.images),
    }  # fmt: skip


def _on(context: Context, new: int, first: int, take: Callable[[Context], SnapshotResult]) -> float:
    """Seconds for a snapshot once so many more corrections have come in."""
    fill(context.objects, count=new, first=first, days=0)
    started = time.perf_counter()
    assert take(context).new_corrections == new
    return time.perf_counter() - started


def _plain(context: Context) -> SnapshotResult:
    return snapshot(context)


def _screened(context: Context) -> SnapshotResult:
    """As the weekly run takes it, but for the champion's opinion: here is no registry."""
    taken, _ = screened_snapshot(context)
    return taken


def folding(*, count: int = 1_000_000) -> dict[str, Any]:
    """Fold `count` events in memory: 4 of 5 images have one correction, the others several."""
    events = _events(count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    states = fold(events)
    took = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "events": len(events), "images": len(states), "fold_s": round(took, 1),
        "peak_mib": peak // 1024, "of_that_the_events_mib": before // 1024,
    }  # fmt: skip


def _events(count: int) -> list[Event]:
    chance = random.Random(3)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    shown = picture(0)
    events: list[Event] = []
    for number in range(count):
        at = start + timedelta(milliseconds=number * 20)
        busy = number % 5 == 0
        sha256 = f"{chance.randrange(count // 20) if busy else count + number:064x}"
        who = f"user {number % 50}"
        if busy and number % 25 == 0:
            identifier = event_id(now=at, random=number.to_bytes(10, "big"))
            action = chance.choice(["approve", "reject", "relabel", "withdraw", "flag"])
            events.append(Review(identifier, at.isoformat(), sha256, action, "Hand", who))  # type: ignore[arg-type]
        else:
            event = event_for(shown, at, who=who, label=chance.choice(["Hand", "CXR", None]))
            events.append(
                type(event).from_json(
                    event.to_json().replace(shown.sha256.encode(), sha256.encode())
                )
            )
    return events


def recipe(*, sizes: tuple[int, ...] = (0, 1_000, 10_000), repeat: int = 20) -> dict[str, Any]:
    """Time the published system's upload and weekly download beside ours, per size of the store."""
    found: dict[str, Any] = {}
    with store() as server, tempfile.TemporaryDirectory() as home:
        for size in sizes:
            found[str(size)] = _compared(server, Path(home) / str(size), size, repeat)
    return found


def _compared(server: SeaweedFS, home: Path, size: int, repeat: int) -> dict[str, Any]:
    theirs, bucket = server.client(), new_bucket(server)
    context = loop_on(server, home)
    fill(context.objects, count=size, first=0, days=DAYS)
    snapshot(context)
    for number in range(size):
        theirs.put_object(
            Bucket=bucket, Key=f"Hand/{number}.png", Body=encode_png(picture(number).pixels)
        )
    context.sender.start()
    uploads = [
        _timed(lambda n=n: _their_upload(theirs, bucket, n))
        for n in range(50_000_000, 50_000_000 + repeat)
    ]
    ours = [
        _timed(lambda n=n: _our_upload(context, n)) for n in range(50_000_000, 50_000_000 + repeat)
    ]
    weekly = _timed(lambda: _their_week(theirs, bucket)) / 1000
    our_weekly = _timed(lambda: snapshot(context)) / 1000
    context.sender.stop()
    kept = len(_all_keys(theirs, bucket))
    return {
        "published_upload_ms": spread(uploads), "medloop_stored_ms": spread(ours),
        "published_weekly_s": round(weekly, 2), "medloop_weekly_s": round(our_weekly, 2),
        "published_objects_lost": size + repeat - kept, "n": repeat,
    }  # fmt: skip


def _their_upload(client: Any, bucket: str, number: int) -> None:
    """Put under the count of one listing; that ends at 1,000: later uploads overwrite the last."""
    listed = client.list_objects_v2(Bucket=bucket, Prefix="Hand/").get("KeyCount", 0)
    client.put_object(
        Bucket=bucket, Key=f"Hand/{listed}.png", Body=encode_png(picture(number).pixels)
    )


def _our_upload(context: Any, number: int) -> None:
    assert context.sender.settle(say(context, number), 30) == "stored"


def _their_week(client: Any, bucket: str) -> None:
    for key in _all_keys(client, bucket):
        client.get_object(Bucket=bucket, Key=key)["Body"].read()


def _all_keys(client: Any, bucket: str) -> list[str]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [item["Key"] for page in pages for item in page.get("Contents", ())]


def _timed(act: Callable[[], Any]) -> float:
    """Milliseconds."""
    started = time.perf_counter()
    act()
    return (time.perf_counter() - started) * 1000


def _ratio(larger: list[float], smaller: list[float]) -> float:
    return round(statistics.median(larger) / statistics.median(smaller), 2)


def _rounded(seconds: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(seconds), 2),
        "min": round(min(seconds), 2), "max": round(max(seconds), 2),
    }  # fmt: skip
