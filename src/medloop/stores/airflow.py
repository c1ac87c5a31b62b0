"""Airflow over its REST API: starts the DAG and watches a run, without airflow installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from medloop.core.printable import markdown
from medloop.errors import NotFoundError, SettingsError, StoreError, StoreUnavailableError
from medloop.settings import Settings

DAG_ID = "medloop_weekly_retrain"
WATCH_DAG_ID = "medloop_watch"
TIMEOUT_S = 30
FINISHED = {"success", "failed"}


@dataclass(frozen=True, slots=True)
class DagState:
    """The DAG as Airflow knows it."""

    paused: bool
    next_run_at: str | None  # ISO 8601; None while it is paused


@dataclass(frozen=True, slots=True)
class DagRun:
    """A run of the DAG."""

    run_id: str
    state: str  # queued, running, success or failed
    tasks: Mapping[str, str | None]  # task id → state; None: not scheduled yet

    @property
    def finished(self) -> bool:
        """Tell if nothing more will happen in this run."""
        return self.state in FINISHED


class Airflow:
    """A logged-in session with one Airflow; the token is fetched when needed."""

    def __init__(self, settings: Settings) -> None:
        """Read address and login; a password without a user name is an API token.

        Raises:
            SettingsError: There is no address or no password.
        """
        if not settings.airflow_url or not settings.airflow_password:
            raise SettingsError(
                "No Airflow is set: give MEDLOOP_AIRFLOW_URL, MEDLOOP_AIRFLOW_USERNAME and "
                "_PASSWORD"
            )
        self.url = settings.airflow_url.rstrip("/")
        self._username = settings.airflow_username
        self._password = settings.airflow_password
        self._http = httpx.Client(base_url=self.url, timeout=TIMEOUT_S)

    def ping(self) -> None:
        """Check the address, the login and that both DAGs are at work.

        Raises:
            StoreError: One is paused or gone, or see `dag`.
        """
        if idle := self.idle_dags():
            raise StoreError(idle)

    def idle_dags(self) -> str:
        """Say which DAGs are paused or gone, and so do nothing; "" if both are at work."""
        found = []
        for dag_id in (DAG_ID, WATCH_DAG_ID):
            try:
                found += [f"{dag_id} is paused"] if self.dag(dag_id).paused else []
            except NotFoundError:
                found.append(f"{dag_id} is gone")
        return f"{self.url}: {', and '.join(found)}" if found else ""

    def dag(self, dag_id: str = DAG_ID) -> DagState:
        """Read a DAG's state.

        Raises:
            NotFoundError: Airflow has not parsed the DAG, or this user may not see it.
            StoreUnavailableError: Airflow does not answer.
            StoreError: The login fails.
        """
        found = self._call("GET", f"/api/v2/dags/{dag_id}")
        return DagState(
            paused=bool(found["is_paused"]), next_run_at=found.get("next_dagrun_run_after")
        )

    def trigger(self, conf: Mapping[str, Any] | None = None, *, note: str = "") -> str:
        """Start a run and return its id.

        Args:
            conf: Values for the DAG's parameters; what is left out takes the DAG's default.
            note: Shown beside the run.

        Raises:
            StoreError: The DAG is paused, in which case the run would wait for ever, or see `dag`.
        """
        if self.dag().paused:
            raise StoreError(
                f"The DAG {DAG_ID} is paused in {self.url}, so a run would never start: unpause it "
                "there"
            )
        body = {"logical_date": None, "conf": dict(conf or {}), "note": markdown(note) or None}
        return str(self._call("POST", f"/api/v2/dags/{DAG_ID}/dagRuns", body)["dag_run_id"])

    def set_paused(self, paused: bool, *, dag_id: str = DAG_ID) -> None:
        """Pause or unpause a DAG."""
        self._call("PATCH", f"/api/v2/dags/{dag_id}?update_mask=is_paused", {"is_paused": paused})

    def clear(self, run_id: str, task_ids: Sequence[str]) -> None:
        """Have these tasks of an old run done again, with that run's own ids."""
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": list(task_ids),
            "only_failed": False,
        }
        self._call("POST", f"/api/v2/dags/{DAG_ID}/clearTaskInstances", body)

    def run(self, run_id: str) -> DagRun:
        """Read how far a run is.

        Raises:
            NotFoundError: There is no such run.
        """
        path = f"/api/v2/dags/{DAG_ID}/dagRuns/{quote(run_id, safe='')}"
        state = self._call("GET", path).get("state")
        if state is None:  # an id such as ".." leads to something else
            raise NotFoundError(f"Airflow has no run {run_id!r}")
        tasks = self._call("GET", f"{path}/taskInstances")["task_instances"]
        return DagRun(run_id, str(state), {task["task_id"]: task["state"] for task in tasks})

    def result(self, run_id: str, task_id: str, *, key: str = "return_value") -> str | None:
        """Read what a task handed on under `key` (an id, or the `reason`); None without it."""
        run, task = quote(run_id, safe=""), quote(task_id, safe="")
        entry = f"taskInstances/{task}/xcomEntries/{quote(key, safe='')}"
        path = f"/api/v2/dags/{DAG_ID}/dagRuns/{run}/{entry}"
        try:
            value = self._call("GET", path)["value"]
        except NotFoundError:
            return None
        return None if value is None else str(value)

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        if "Authorization" not in self._http.headers:
            self._login()
        answer = self._send(method, path, body)
        if (
            answer.status_code == httpx.codes.UNAUTHORIZED and self._username
        ):  # the token has expired
            self._login()
            answer = self._send(method, path, body)
        return self._read(answer, path)

    def _login(self) -> None:
        token = self._password.get_secret_value()
        if self._username:
            answer = self._send(
                "POST", "/auth/token", {"username": self._username, "password": token}
            )
            token = str(self._read(answer, "/auth/token")["access_token"])
        self._http.headers["Authorization"] = f"Bearer {token}"

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> httpx.Response:
        try:
            return self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise StoreUnavailableError(
                f"Airflow at {self.url} does not answer ({type(error).__name__})"
            ) from error

    def _read(self, answer: httpx.Response, path: str) -> dict[str, Any]:
        if answer.is_success:
            try:
                body: dict[str, Any] = answer.json()
            except ValueError as error:
                raise StoreError(f"What answers at {self.url}{path} is no Airflow") from error
            return body
        if answer.status_code in {401, 403}:
            raise StoreError(
                f"Airflow at {self.url} refuses {self._username or 'this token'} "
                f"({answer.status_code}): "
                "check MEDLOOP_AIRFLOW_USERNAME and MEDLOOP_AIRFLOW_PASSWORD"
            )
        said = f"Airflow at {self.url} answered {answer.status_code} to {path}: {answer.text[:300]}"
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise NotFoundError(said)
        raise StoreUnavailableError(said) if answer.is_server_error else StoreError(said)
