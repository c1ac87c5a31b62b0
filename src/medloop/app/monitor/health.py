"""Whether the outbox and the services behind the page answer, a line each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Final

from medloop.app.kit.wording import ago
from medloop.app.process.backend import Backend
from medloop.errors import MedloopError, SettingsError
from medloop.stores.airflow import Airflow
from medloop.stores.registry import CHAMPION
from medloop.wiring import PROMOTION_LEASE_KEY

STORE: Final = "Store (S3)"
WITHIN_S: Final = (
    3.0  # a service that answers later is as good as away to whoever waits for the page
)


@dataclass(frozen=True, slots=True)
class Health:
    """One part of the system."""

    name: str
    state: str  # "OK", "away" or "not set"
    detail: str


def outbox_health(backend: Backend) -> Health:
    """Tell what waits on this machine."""
    try:
        status = backend.context.outbox.status()
    except MedloopError as error:
        return Health("Corrections on this machine", "away", str(error))
    if status.pending == 0:
        return Health("Corrections on this machine", "OK", "Everything is stored.")
    since = (
        f", the oldest from {ago(status.oldest_at, backend.context.now())}"
        if status.oldest_at
        else ""
    )
    reason = f" {status.last_error}" if status.last_error else ""
    verb = "waits" if status.pending == 1 else "wait"
    return Health(
        "Corrections on this machine",
        "away",
        f"{status.pending} {verb} to be stored{since}.{reason}",
    )


class Checkup:
    """Asks the services, all at once, and waits for none of them longer than `within_s`.

    One for all sessions of the process: a question that is still open is not put again, so that a
    service that hangs holds one thread, however many look. The threads are daemons and keep no
    process alive.
    """

    def __init__(
        self, questions: Mapping[str, Callable[[], object]], *, within_s: float = WITHIN_S
    ) -> None:
        self._questions = questions
        self._within_s = within_s
        self._open: dict[str, Future[Health]] = {}
        self._lock = threading.Lock()
        self._found: dict[str, Health] = {}

    def look(self) -> list[Health]:
        """Ask how each service is, in the order of the questions."""
        asked = {name: self._ask(name) for name in self._questions}
        wait(asked.values(), timeout=self._within_s)
        self._found = {name: self._heard(name, answer) for name, answer in asked.items()}
        return list(self._found.values())

    def is_away(self, name: str) -> bool:
        """Tell if the last look found this service away; False before the first one."""
        return name in self._found and self._found[name].state == "away"

    def _ask(self, name: str) -> Future[Health]:
        with self._lock:
            if name not in self._open or self._open[name].done():
                answer = self._open[name] = Future[Health]()
                threading.Thread(
                    target=lambda: answer.set_result(_ask(name, self._questions[name])),
                    name=f"health {name}",
                    daemon=True,
                ).start()
            return self._open[name]

    def _heard(self, name: str, answer: Future[Health]) -> Health:
        if answer.done():
            return answer.result()
        return Health(name, "away", f"has not answered within {self._within_s:g} seconds")


def services(backend: Backend) -> Checkup:
    """Prepare questions to S3, MLflow and Airflow."""
    context = backend.context
    return Checkup(
        {
            STORE: lambda: context.objects.head(
                PROMOTION_LEASE_KEY
            ),  # a key that the page's policy covers
            "Model registry (MLflow)": lambda: context.registry.version_of(CHAMPION),
            "Training (Airflow)": lambda: Airflow(backend.settings).ping(),
        }
    )


def model_health(backend: Backend) -> Health:
    """Tell which version answers, and whether it may be stale."""
    try:
        served = backend.champion.current()
    except MedloopError as error:
        return Health("Model", "away", str(error))
    return Health(
        "Model",
        "away" if served.notice else "OK",
        served.notice or f"Version {served.version} answers.",
    )


def _ask(name: str, question: Callable[[], object]) -> Health:
    started = time.monotonic()
    try:
        question()
    except SettingsError as error:
        return Health(name, "not set", str(error))
    except MedloopError as error:
        return Health(name, "away", str(error))
    except Exception as error:  # what nobody foresaw must not leave the question open for ever
        return Health(name, "away", f"cannot be asked: {type(error).__name__} {error}")
    return Health(name, "OK", f"answers in {(time.monotonic() - started) * 1000:.0f} ms")
