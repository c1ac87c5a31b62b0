"""Actions of the Models page: roll back, promote by hand, start a training and watch it.

The jobs are imported when they are called: they bring the gate's statistics along, which no other
page needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from medloop.app.kit.access import User
from medloop.app.models.models_view import VersionRow
from medloop.app.process.backend import Backend
from medloop.core.corrections.lineage import earlier_champions
from medloop.errors import MedloopError
from medloop.jobs.new_base import is_another_base
from medloop.settings import Settings
from medloop.stores.airflow import DAG_ID, Airflow, DagRun
from medloop.stores.registry import CHAMPION

TASKS: Final[Mapping[str, str]] = {  # in their order
    "snapshot": "Collect the corrections",
    "train": "Train",
    "evaluate": "Test against the champion",
    "set_aside": "Set harmful corrections aside and try without",
    "promote": "Let it answer, if the tests say yes",
}
WORDS: Final[Mapping[str | None, str]] = {
    None: "to come",
    "scheduled": "to come",
    "queued": "about to start",
    "running": "at work",
    "deferred": "at work",
    "success": "done",
    "skipped": "not needed",
    "failed": "failed",
    "upstream_failed": "not reached",
    "up_for_retry": "will be tried again",
    "restarting": "will be tried again",
}


class ReasonError(MedloopError):
    """A person moved the champion and did not say why."""


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task of a training run, for people."""

    name: str
    word: str
    done: bool


def way_back(backend: Backend) -> tuple[str, str] | None:
    """Find the version that a roll-back takes away and the one it brings back; None without.

    Raises:
        MedloopError: The registry or the history cannot be read.
    """
    from medloop.jobs.alias_moves import moves

    current = backend.context.registry.version_of(CHAMPION)
    before = earlier_champions(moves(backend.context), current)
    return (current, before[-1]) if current and before else None


def roll_back(backend: Backend, *, user: User, reason: str, to: str | None = None) -> str:
    """Bring an earlier champion back; say which in a sentence.

    Raises:
        AccessError: The user may not.
        ReasonError: No reason was given.
        MedloopError: There is none, or the registry refuses.
    """
    user.require("rollback")
    _require_reason(reason)
    from medloop.jobs.rollback import rollback

    done = rollback(backend.context, by=user.name, reason=reason, to=to)
    backend.champion.refresh()
    return f"Version {done.to_version} answers again." if done.promoted else done.reasons[0]


def promote_by_hand(backend: Backend, *, user: User, version: str, reason: str) -> str:
    """Make a version the champion on a person's word. Raises as `roll_back` does."""
    user.require("promote")
    _require_reason(reason)
    from medloop.jobs.promote import promote

    promote(backend.context, version=version, by=user.name, reason=reason, force=True)
    backend.champion.refresh()
    return f"Version {version} answers from now on."


def start_training(backend: Backend, *, user: User, force: bool) -> str:
    """Start the DAG; give the run's id.

    Raises:
        AccessError: The user may not.
        SettingsError: No Airflow is set.
        StoreError: Airflow is away, refuses, or the DAG is paused.
    """
    user.require("retrain")
    return Airflow(backend.settings).trigger({"force": force}, note=f"started by {user.name}")


def new_base(backend: Backend, rows: Sequence[VersionRow]) -> str:
    """Say what a training does if its base data set is another than the champion's; "" if not.

    Raises:
        MedloopError: The data set is not there.
    """
    base_id = backend.context.datasets.get(backend.settings.base_dataset).id
    before = next((row.base_id for row in rows if "champion" in row.roles), "")
    if not is_another_base(before, base_id):
        return ""
    return (
        f"The base data set is {base_id}, and the champion learned from {before}. So this training "
        "starts from nothing and takes longer. If the tests find the new version better, it "
        "answers and becomes the reference."
    )


def _require_reason(reason: str) -> None:
    if not reason.strip():
        raise ReasonError("Please give a reason: it stands in the history beside your name.")


def task_rows(run: DagRun) -> list[TaskRow]:
    """List the tasks in their order, in words."""
    states = {name: run.tasks.get(name) for name in TASKS}
    return [
        TaskRow(
            text,
            WORDS.get(states[name], states[name] or ""),
            states[name] in {"success", "skipped"},
        )
        for name, text in TASKS.items()
    ]


def progress(run: DagRun) -> float:
    """Give the share of tasks that are over, 0 to 1; 1 once the run has ended."""
    rows = task_rows(run)
    return 1.0 if run.finished else sum(row.done for row in rows) / len(rows)


def outcome(airflow: Airflow, run: DagRun) -> str:
    """Say what came of a finished run."""
    if run.state == "failed":
        failed = [text for name, text in TASKS.items() if run.tasks.get(name) == "failed"]
        return (
            f"The run failed at: {', '.join(failed) or 'an unknown task'}. Airflow's log says why."
        )
    reason = airflow.result(run.run_id, "promote", key="reason") or airflow.result(
        run.run_id, "snapshot", key="reason"
    )
    # A run of before `set_aside` has none.
    version = airflow.result(run.run_id, "set_aside") or airflow.result(run.run_id, "train")
    if run.tasks.get("promote") == "success":
        if airflow.result(run.run_id, "promote", key="replaced") is None:  # it moved nothing
            return (
                f"Nothing changed: version {version} answers already, and has learned exactly this "
                "before."
            )
        return f"Version {version} passed its tests and answers now."
    if version:
        return f"Version {version} was tested, but the old one stays: {reason}"
    return f"Nothing was trained: {reason}"


def airflow_link(settings: Settings, run_id: str) -> str | None:
    """Link the run's page in Airflow."""
    if not settings.airflow_url:
        return None
    return f"{settings.airflow_url.rstrip('/')}/dags/{DAG_ID}/runs/{quote(run_id, safe='')}"


def mlflow_link(settings: Settings, version: str) -> str | None:
    """Link the version's page in MLflow; None if the registry is not reached over HTTP."""
    uri = settings.mlflow_tracking_uri or ""
    if not uri.startswith("http"):
        return None
    return f"{uri.rstrip('/')}/#/models/{quote(settings.model_name, safe='')}/versions/{version}"
