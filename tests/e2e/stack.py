"""The whole local stack in the background, as `medloop up --detach` starts it, and what a person
does with it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from medloop.jobs.context import Context
from medloop.settings import Settings, load_settings
from medloop.stores.airflow import DAG_ID, Airflow
from medloop.wiring import connect
from tests.servers import wait_until
from tests.stack import LocalStack


@dataclass
class Stack(LocalStack):
    """Starts with `up_detached`, ends with `down`; `.url` is the page."""

    said: str = field(default="", init=False)  # by `up`

    @property
    def output(self) -> str:
        return self.said

    def command(self, *arguments: str, timeout_s: float = 120) -> str:
        """One command that must succeed; gives what it prints."""
        done = self.run(*arguments, timeout_s=timeout_s)
        assert done.returncode == 0, (
            f"medloop {' '.join(arguments)}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
        return done.stdout + done.stderr

    def up_detached(self) -> None:
        self.said = self.command("up", "--detach", timeout_s=900)

    @property
    def url(self) -> str:
        return self.address("page")

    @property
    def person(self) -> Settings:
        """What a person's command line finds in the state folder."""
        return load_settings(home=self.home)

    def context(self) -> Context:
        return connect(self.person)

    def airflow(self) -> Airflow:
        return Airflow(self.person)

    def wait_for_the_last_tick(self) -> None:
        """Until the run is over that Airflow makes of the last weekly tick as soon as the DAG is
        open.

        It takes the corrections that it finds, and would leave fewer for a test's own run.
        """
        operator = self.operator()
        login = {
            "username": operator["MEDLOOP_AIRFLOW_USERNAME"],
            "password": operator["MEDLOOP_AIRFLOW_PASSWORD"],
        }
        with httpx.Client(base_url=operator["MEDLOOP_AIRFLOW_URL"], timeout=60) as http:
            token = http.post("/auth/token", json=login).json()["access_token"]

            def over() -> bool:
                path = f"/api/v2/dags/{DAG_ID}/dagRuns"
                runs = http.get(path, headers={"Authorization": f"Bearer {token}"}).json()[
                    "dag_runs"
                ]
                return bool(runs) and all(run["state"] in {"success", "failed"} for run in runs)

            wait_until(
                over,
                what="the run of the last weekly tick should be over",
                timeout_s=180,
                every_s=1,
            )

    @contextmanager
    def frozen_s3(self) -> Iterator[None]:
        """Within, S3's connections stay open and nothing answers; then its plug is pulled, and it
        comes back.
        """
        pid = self.pid_of("weed mini")
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGKILL)
