"""The process's one connection to the outside, shared by all sessions: the stores and the champion.

Opened by the first session that asks; pages never connect on their own. Not a Streamlit cache: the
threads of the sender and the champion live as long as the process, whatever a page clears.
"""

from __future__ import annotations

import atexit
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medloop.app.process.prediction_recorder import Recorder
from medloop.errors import ModelError
from medloop.jobs.context import Context
from medloop.serving import Champion
from medloop.settings import Settings
from medloop.wiring import connect, open_champion

if TYPE_CHECKING:
    from medloop.app.process.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Backend:
    """The stores, the model and the recorder that all pages share."""

    context: Context
    champion: Champion
    recorder: Recorder

    @property
    def settings(self) -> Settings:
        """The settings that the context was connected with."""
        return self.context.settings

    def labels(self) -> tuple[str, ...]:
        """Give the champion's classes in its order; the base data set's while there is no model."""
        try:
            return self.champion.current().predictor.metadata.labels
        except ModelError:
            return self.context.datasets.labels(self.settings.base_dataset)


_lock = threading.Lock()
_opened: list[Backend] = []  # none or one


def backend() -> Backend:
    """Give the process's backend; the first caller opens it and starts its threads."""
    with _lock:
        if not _opened:
            context = connect()
            champion = open_champion(context)
            champion.start()
            context.sender.start()
            recorder = Recorder(context, _metrics(context, champion))
            recorder.start()
            atexit.register(recorder.stop)
            _opened.append(Backend(context, champion, recorder))
        return _opened[0]


def _metrics(context: Context, champion: Champion) -> Metrics | None:
    """Answer Prometheus, if the settings name a port."""
    if not context.settings.metrics_port:
        return None
    from medloop.app.process.metrics import Metrics

    metrics = Metrics(context, champion)
    metrics.listen()
    return metrics


def install(replacement: Backend | None) -> None:
    """Use this backend from now on; None opens a new one at the next use."""
    with _lock:
        _opened[:] = [] if replacement is None else [replacement]
