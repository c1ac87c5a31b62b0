"""Start all components of the local stack, in the order that their needs allow."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version

import httpx

from medloop.errors import NotFoundError, ServiceError, StoreError, StoreUnavailableError
from medloop.settings import load_settings
from medloop.stack.exit_log import describe_exit
from medloop.stack.log_tail import last_lines
from medloop.stack.plan import StackPlan
from medloop.stack.process_events import Event, Watch
from medloop.stack.programs import MLFLOW_ADMIN, MLFLOW_FRONTEND, Program
from medloop.stack.state_folder import StateFolder
from medloop.stack.supervisor import Supervisor
from medloop.stores.airflow import DAG_ID, WATCH_DAG_ID, Airflow
from medloop.stores.objects import ObjectStore
from medloop.wiring import connect

READY_WITHIN_S = 300  # for each component, counted from its start; a cold disk is slow
DAG_WITHIN_S = 120
TRIES = 3  # a component that ends so often while starting will not start


class BringUp:
    """Starts components in dependency order, in parallel where possible."""

    def __init__(self, folder: StateFolder, plan: StackPlan, supervisor: Supervisor) -> None:
        self._folder = folder
        self._plan = plan
        self._supervisor = supervisor
        self._watch = Watch(folder, plan.programs, supervisor)
        self._started: dict[str, float] = {}
        self._http = httpx.Client(timeout=2.0, trust_env=False)  # no proxy on this machine

    def run(self) -> Iterator[Event]:
        """Start every component, and end when all are ready.

        Raises:
            ServiceError: A component does not start; its last words are in the message.
        """
        pending = {program.name: program for program in self._plan.programs}
        while pending:
            yield from self._watch.look()
            for program in list(pending.values()):
                if program.name not in self._started and not pending.keys() & set(program.after):
                    self._supervisor.start(program.name)
                    self._started[program.name] = time.monotonic()
                elif program.name in self._started and self._is_ready(program):
                    yield self._finish(program)
                    del pending[program.name]
            time.sleep(0.1)
        if any(program.name == "airflow-scheduler" for program in self._plan.programs):
            self._open_dags()

    def _is_ready(self, program: Program) -> bool:
        state = self._watch.states().get(program.name)
        if state is None or state.started_at is None:
            return False
        if program.once:
            return state.state == "EXITED"
        if self._watch.deaths[program.name] >= TRIES or state.state == "FATAL":
            raise self._failure(program, "ends again and again")
        if time.monotonic() - self._started[program.name] > READY_WITHIN_S:
            raise self._failure(program, f"is not ready after {READY_WITHIN_S} s")
        if not state.is_up or (program.health_url and not self._answers(program.health_url)):
            return False
        return program.name != "seaweedfs" or self._has_bucket()

    def _answers(self, url: str) -> bool:
        try:
            return self._http.get(url).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def _has_bucket(self) -> bool:
        """Tell if the bucket can be listed: SeaweedFS is healthy before it has made it."""
        try:
            ObjectStore.from_settings(load_settings(home=self._folder.home)).folders("snapshots")
        except StoreError:
            return False
        return True

    def _finish(self, program: Program) -> Event:
        status = self._watch.states()[program.name].exit_status
        if program.once and status != 0:
            failure = self._failure(program, f"failed ({describe_exit(status)})")
            if program.name != "first-model":  # a stack without a model helps to find out why
                raise failure
            return Event("trouble", program.name, str(failure))
        if program.name == "seaweedfs":
            try:
                connect(load_settings(home=self._folder.home)).signatures.begin()
            except StoreError as error:  # the rest is of use without, to find out why
                return Event("trouble", program.name, str(error))
        if program.name == "mlflow":
            create_frontend_user(self._plan, self._plan.operator_env)
        if program.name == "airflow-migration":
            self._folder.airflow_migrated.write_text(version("apache-airflow"))
        took_s = time.monotonic() - self._started[program.name]
        state = "done" if program.once else "ready"
        return Event("ready", program.name, f"{state} after {took_s:.1f} s")

    def _failure(self, program: Program, what: str) -> ServiceError:
        log = self._folder.logs / f"{program.name}.log"
        words = "\n".join(f"  {line}" for line in last_lines(log, 12))
        return ServiceError(f"{program.name} {what}. The end of {log}:\n{words}")

    def _open_dags(self) -> None:
        """Unpause the DAGs once in the life of a state folder: who pauses one later means it.

        Comes after the first model, since Airflow runs the last weekly tick at once.
        """
        marker = self._folder.dag_opened
        if marker.exists():
            return
        airflow = Airflow(load_settings(home=self._folder.home))
        until = time.monotonic() + DAG_WITHIN_S
        while not marker.exists():
            try:
                for dag_id in (DAG_ID, WATCH_DAG_ID):
                    airflow.set_paused(False, dag_id=dag_id)
                marker.touch()
            except (NotFoundError, StoreUnavailableError) as error:  # not parsed yet
                if time.monotonic() > until:
                    raise ServiceError(
                        f"Airflow does not find the DAGs: see `medloop logs` ({error})"
                    ) from error
                time.sleep(0.5)


def create_frontend_user(plan: StackPlan, tracking: Mapping[str, str]) -> None:
    """Create the page's user in MLflow; `mlflow_users` narrows what it may edit.

    `tracking` are the admin's settings. The model of the grant need not exist yet, and what an
    earlier start did is no failure.
    """
    user = {"username": MLFLOW_FRONTEND}
    model = {"resource_type": "registered_model", "resource_id": plan.model_name}
    asked = {
        "2.0/mlflow/users/create": {**user, "password": plan.frontend_password},
        "3.0/mlflow/users/permissions/grant": {**user, **model, "permission": "EDIT"},
    }
    login = (MLFLOW_ADMIN, tracking["MLFLOW_TRACKING_PASSWORD"])
    with httpx.Client(auth=login, timeout=30.0, trust_env=False) as http:
        for path, body in asked.items():
            answer = http.post(f"{tracking['MLFLOW_TRACKING_URI']}/api/{path}", json=body)
            if not answer.is_success and "RESOURCE_ALREADY_EXISTS" not in answer.text:
                said = f"{answer.status_code} {answer.text[:300]}"
                raise ServiceError(f"MLflow refuses the page's user ({path}): {said}")
