"""Numbers of the page's process for Prometheus, on a port of their own.

Counts, times, verdicts and versions: no picture, hash, file name or person.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from medloop.core.prediction.predictor import Prediction
from medloop.errors import ModelError, StoreError
from medloop.jobs.context import Context
from medloop.serving import Champion, Served

BUCKETS_S: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    """The process's one. What the stores know is asked at each scrape."""

    def __init__(self, context: Context, champion: Champion) -> None:
        self._context = context
        self._champion = champion
        self.registry = own = CollectorRegistry()
        labels = ("version", "verdict")
        self._answers = Counter(
            "medloop_answers", "Pictures answered on the page", labels, registry=own
        )
        self._seconds = Histogram(
            "medloop_answer_seconds",
            "Decoding and classifying a file",
            registry=own,
            buckets=BUCKETS_S,
        )
        asked = (
            ("medloop_outbox_pending", "Answers that are not in S3 yet", self._pending),
            ("medloop_outbox_oldest_seconds", "Age of the oldest of them", self._oldest_s),
            ("medloop_champion_version", "Version that serves; NaN without one", self._version),
        )
        for name, meaning, ask in asked:
            Gauge(name, meaning, registry=own).set_function(ask)

    def listen(self) -> None:
        """Answer scrapes on the port of the settings, from a thread."""
        settings = self._context.settings
        start_http_server(settings.metrics_port, settings.metrics_host, self.registry)

    def note(self, served: Served, answers: Sequence[tuple[str, Prediction]]) -> None:
        """Count answers by verdict."""
        for _, prediction in answers:
            self._answers.labels(served.version, prediction.verdict).inc()

    def took(self, files: int, seconds: float) -> None:
        """Note how long a batch of files took."""
        for _ in range(files):
            self._seconds.observe(seconds / files)

    def _pending(self) -> float:
        try:
            return self._context.outbox.status().pending
        except StoreError:
            return float("nan")

    def _oldest_s(self) -> float:
        try:
            oldest = self._context.outbox.status().oldest_at
        except StoreError:
            return float("nan")
        if oldest is None:
            return 0.0
        return (self._context.now() - datetime.fromisoformat(oldest)).total_seconds()

    def _version(self) -> float:
        try:
            return float(self._champion.current().version)
        except (ModelError, ValueError):
            return float("nan")
