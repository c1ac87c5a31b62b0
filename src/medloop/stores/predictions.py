"""The prediction log: labels, versions and confidences, for drift and for the watch on a promotion.

Appended in batches, a Parquet file each, under the day. No pixels and no person. It is worth less
than corrections: what a killed process had not written yet is lost, and where S3 is away for long
the oldest lines are.
"""

from __future__ import annotations

import io
import logging
import re
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Final

from pydantic import TypeAdapter

from medloop.core.corrections.events import (
    EVENT_ID,
    ImageHash,
    Label,
    Name,
    Share,
    Time,
    Verdict,
    event_id,
)
from medloop.errors import StoreError
from medloop.stores.corrections import days_among
from medloop.stores.objects import ObjectStore

BATCH: Final = 500  # lines that are written without waiting
EVERY_S: Final = 60.0  # the longest that a line waits
KEPT: Final = 20_000  # lines in memory while S3 is away
KEY: Final = re.compile(rf"predictions/dt=[0-9-]+/{EVENT_ID}\.parquet")
MAX_FILE_BYTES: Final = 32 << 20  # of one batch: 100 times what all that wait may need

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PredictionLine:
    """A prediction as a line of a file."""

    at: Time  # ISO 8601, UTC
    image_sha256: ImageHash
    label: Label
    confidence: Share
    verdict: Verdict
    ood_score: float
    model_version: Name
    source: Name  # page, cli or python
    distance: float | None = None  # cosine, to the nearest labelled picture; see `core.drift`


NUMBERS: Final = ("confidence", "ood_score", "distance")
READER: Final = TypeAdapter(list[PredictionLine])


class PredictionLog:
    """The log of one process. Its thread writes; nobody waits for it."""

    def __init__(
        self, objects: ObjectStore, *, now: Callable[[], datetime], random: Callable[[int], bytes]
    ) -> None:
        self._objects = objects
        self._now = now
        self._random = random
        self._waiting: deque[PredictionLine] = deque(maxlen=KEPT)
        self._writing = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, lines: Iterable[PredictionLine]) -> None:
        """Take lines in; returns at once."""
        self._waiting.extend(lines)
        if len(self._waiting) >= BATCH:
            self._wake.set()

    def flush(self) -> int:
        """Write what waits, as one file; how many lines. Keeps them on a `StoreError`."""
        with self._writing:
            lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
            if not lines:
                return 0
            now = self._now().astimezone(UTC)
            name = event_id(now=now, random=self._random(10))
            key = f"predictions/dt={now:%Y-%m-%d}/{name}.parquet"
            try:
                self._objects.create(key, _pack(lines))
            except StoreError:
                self._waiting.extendleft(reversed(lines))
                raise
            return len(lines)

    def start(self) -> None:
        """Write from a thread of its own; a second call changes nothing."""
        if self._thread is None or not self._thread.is_alive():
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Write what waits and end the thread."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(30)

    def days(self) -> list[str]:
        """List the days with predictions, in order."""
        return days_among(self._objects.folders("predictions"))

    def read(self, day: str) -> list[PredictionLine]:
        """Read all lines of a day, in the order of writing, but for damaged files."""
        listed = self._objects.list(f"predictions/dt={day}")
        keys = sorted(
            info.key
            for info in listed
            if KEY.fullmatch(info.key) and info.size_bytes <= MAX_FILE_BYTES
        )
        files = zip(keys, self._objects.find_many(keys), strict=True)
        return [line for key, raw in files for line in _unpack(raw or b"", key)]

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(EVERY_S)
            self._wake.clear()
            if not self._try():
                self._stopping.wait(EVERY_S)
        self._try()

    def _try(self) -> bool:
        try:
            self.flush()
        except StoreError as error:
            log.warning("prediction log: %s", error)
            return False
        return True


def _pack(lines: list[PredictionLine]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    schema = pa.schema(
        [
            (f.name, pa.float64() if f.name in NUMBERS else pa.string())
            for f in fields(PredictionLine)
        ]
    )
    table = pa.Table.from_pylist([asdict(line) for line in lines], schema=schema)
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def _unpack(raw: bytes, key: str) -> list[PredictionLine]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(io.BytesIO(raw))
        rows = file.metadata.num_rows
        if rows <= KEPT:
            return READER.validate_python(file.read().to_pylist())
        why = f"{rows:,} lines are more than any process writes at once"
    except (pa.ArrowException, OSError, ValueError) as error:
        why = str(error)[:200]
    log.warning("%s is passed over: %s", key, why)
    return []
