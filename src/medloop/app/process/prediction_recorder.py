"""Notes the page's answers in the prediction log, from a thread of its own: nobody waits for it.

A line says when, which picture (by the hash of its pixels), the answer, and how far it is from the
labelled pictures. A full queue drops new lines.
No picture, no embedding, no file name and no person.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Final

import numpy as np

from medloop.core.monitoring import drift
from medloop.core.prediction.predictor import Prediction
from medloop.errors import MedloopError
from medloop.jobs.context import Context
from medloop.serving import Served
from medloop.stores.predictions import PredictionLine

if TYPE_CHECKING:
    from medloop.app.process.metrics import Metrics  # its library is of an extra

WAITING: Final = 200  # batches
STOP_WITHIN_S: Final = 5.0
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    at: str
    served: Served
    answers: Sequence[tuple[str, Prediction]]  # hash of the pixels, answer


class References:
    """The drift baseline of the served version, built when first asked for. Safe to share."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._known: dict[str, drift.DriftBaseline] = {}

    def of(self, served: Served) -> drift.DriftBaseline:
        """Give the baseline of a version; a new one takes a second or so.

        Raises:
            MedloopError: The base data set cannot be read.
        """
        with self._lock:
            if served.version not in self._known:
                dataset = self._context.datasets.get(self._context.settings.base_dataset)
                self._known = {served.version: drift.build_reference(served.predictor, dataset)}
            return self._known[served.version]


class Recorder:
    """The process's one. `start` once; `stop` writes what waits."""

    def __init__(self, context: Context, metrics: Metrics | None = None) -> None:
        self.references = References(context)
        self._metrics = metrics
        self._context = context
        self._queue: queue.Queue[_Batch | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def note(self, served: Served, answers: Sequence[tuple[str, Prediction]]) -> None:
        """Take (hash of the pixels, answer) in; returns at once."""
        if self._metrics:
            self._metrics.note(served, answers)
        at = self._context.now().astimezone(UTC).isoformat(timespec="seconds")
        try:
            self._queue.put_nowait(_Batch(at, served, tuple(answers)))
        except queue.Full:
            log.warning("%d predictions are not logged: too many wait", len(answers))

    def took(self, files: int, seconds: float) -> None:
        """Note how long a batch of files took."""
        if self._metrics:
            self._metrics.took(files, seconds)

    def start(self) -> None:
        """Begin, and have the log written from its own thread."""
        self._context.predictions.start()
        self._thread.start()

    def stop(self) -> None:
        """End, once all that waits is written or could not be."""
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=STOP_WITHIN_S)
        self._thread.join(STOP_WITHIN_S)
        self._context.predictions.stop()

    def _run(self) -> None:
        while batch := self._queue.get():
            distances = self._distances(batch)
            lines = [
                PredictionLine(
                    at=batch.at,
                    image_sha256=sha256,
                    label=prediction.label,
                    confidence=round(prediction.confidence, 6),
                    verdict=prediction.verdict,
                    ood_score=round(prediction.ood_score, 6),
                    model_version=batch.served.version,
                    source="page",
                    distance=distance,
                )
                for (sha256, prediction), distance in zip(batch.answers, distances, strict=True)
            ]
            self._context.predictions.add(lines)

    def _distances(self, batch: _Batch) -> Sequence[float | None]:
        try:
            index = self.references.of(batch.served).index
        except MedloopError as error:
            log.warning("no distances in the prediction log: %s", error)
            return [None] * len(batch.answers)
        embeddings = np.stack([prediction.embedding for _, prediction in batch.answers])
        return [round(float(value), 6) for value in drift.distances(embeddings, index)]
