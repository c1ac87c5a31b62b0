"""Whether the outbox and the services behind the page answer, a line each."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from medloop.app.backend import Backend
from medloop.app.when import ago
from medloop.errors import MedloopError, SettingsError
from medloop.stores.airflow import Airflow
from medloop.stores.registry import CHAMPION
from medloop.wiring import PROMOTION_LEASE_KEY


@dataclass(frozen=True, slots=True)
class Health:
    """One part of the system."""

    name: str
    state: str  # "well", "away" or "not set"
    detail: str


def outbox_health(backend: Backend) -> Health:
    """What waits on this machine."""
    try:
        status = backend.loop.outbox.status()
    except MedloopError as error:
        return Health("Corrections on this machine", "away", str(error))
    if status.pending == 0:
        return Health("Corrections on this machine", "well", "Everything is stored.")
    since = f", the oldest from {ago(status.oldest_at, backend.loop.now())}" if status.oldest_at else ""
    reason = f" {status.last_error}" if status.last_error else ""
    return Health("Corrections on this machine", "away", f"{status.pending} wait to be stored{since}.{reason}")


def service_health(backend: Backend) -> list[Health]:
    """Ask S3, MLflow and Airflow once each; takes as long as they do."""
    loop = backend.loop
    return [
        _ask("Store (S3)", lambda: loop.objects.head(PROMOTION_LEASE_KEY)),  # a key that the page's policy covers
        _ask("Model registry (MLflow)", lambda: loop.registry.version_of(CHAMPION)),
        _ask("Training (Airflow)", lambda: Airflow(backend.settings).ping()),
    ]


def model_health(backend: Backend) -> Health:
    """Which version answers, and whether it may be stale."""
    try:
        served = backend.champion.current()
    except MedloopError as error:
        return Health("Model", "away", str(error))
    return Health("Model", "away" if served.notice else "well", served.notice or f"Version {served.version} answers.")


def _ask(name: str, question: Callable[[], object]) -> Health:
    started = time.monotonic()
    try:
        question()
    except SettingsError as error:
        return Health(name, "not set", str(error))
    except MedloopError as error:
        return Health(name, "away", str(error))
    return Health(name, "well", f"answers in {(time.monotonic() - started) * 1000:.0f} ms")
