import io
from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.events import START, sha256_of

from medloop.errors import StoreUnavailableError
from medloop.stores import predictions
from medloop.stores.objects import ObjectStore
from medloop.stores.predictions import PredictionLine, PredictionLog


def lines(count: int, start: int = 0) -> list[PredictionLine]:
    return [
        PredictionLine(START.isoformat(), sha256_of(n), "Hand", 0.9, "confident", 0.1, "1", "page")
        for n in range(start, start + count)
    ]


@pytest.fixture
def objects() -> ObjectStore:
    return ObjectStore.in_memory()


def make(objects: ObjectStore, *, days: int = 0) -> PredictionLog:
    serial = iter(range(1000))
    return PredictionLog(
        objects,
        now=lambda: START + timedelta(days=days),
        random=lambda n: bytes([next(serial)]) * n,
    )


def test_what_was_added_can_be_read_by_day(objects: ObjectStore) -> None:
    first, second = make(objects), make(objects, days=1)
    first.add(lines(3))
    assert first.flush() == 3
    first.add(lines(2, start=3))
    assert (first.flush(), first.flush()) == (2, 0)
    second.add(lines(1))
    second.flush()
    assert first.days() == ["2026-11-02", "2026-11-03"]
    assert first.read("2026-11-02") == lines(5)


def test_an_outage_keeps_the_lines_in_order_and_memory_bounded(
    objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = make(objects)
    log.add(lines(3))
    with monkeypatch.context() as away:
        away.setattr(
            ObjectStore, "create", lambda *_: (_ for _ in ()).throw(StoreUnavailableError("away"))
        )
        with pytest.raises(StoreUnavailableError):
            log.flush()
    log.add(lines(2, start=3))
    log.flush()
    assert log.read("2026-11-02") == lines(5)
    log.add(lines(predictions.KEPT + 5))
    assert log.flush() == predictions.KEPT


def test_a_full_batch_is_written_without_waiting(objects: ObjectStore) -> None:
    log = make(objects)
    log.start()
    log.start()
    log.add(lines(predictions.BATCH))
    log.stop()
    assert len(log.read("2026-11-02")) == predictions.BATCH


def test_a_damaged_file_costs_its_own_lines_alone(
    objects: ObjectStore, caplog: pytest.LogCaptureFixture
) -> None:
    log = make(objects)
    log.add(lines(3))
    log.flush()
    (whole,) = (info.key for info in objects.list("predictions"))
    raw = objects.get(whole)
    texts = pa.table({"at": ["x"], "confidence": ["very"]})
    pq.write_table(texts, out := io.BytesIO())
    bad = {"at": "x"}, {"at": "0001-01-01T00:00:00+23:59"}, {"verdict": "sure"}, {"confidence": 2.0}
    strange = [predictions._pack([replace(line, **change)]) for line in lines(1) for change in bad]
    many = predictions._pack(lines(1) * (predictions.KEPT + 1))
    broken = [b"", b"no", raw[:-20], raw[:100], out.getvalue(), *strange, many]
    for n, damaged in enumerate(broken):
        objects.put(
            f"predictions/dt=2026-11-02/{n:08}-0000-7000-8000-000000000000.parquet", damaged
        )
    objects.put("predictions/dt=2026-11-02/notes.txt", b"no")
    assert len(log.read("2026-11-02")) == 3
    assert caplog.text.count("is passed over") == len(broken)
