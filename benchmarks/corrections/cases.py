"""Faults at chosen moments, and two that no kill makes: an older version beside, a wrong clock."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tests.airflow_server import AirflowServer, connections, dags_folder
from tests.servers import MLflowServer, SeaweedFS, wait_until

from benchmarks.corrections.faults import (
    ROOT,
    Store,
    champion_fits,
    serving_place,
    start_front_ends,
    storm,
    verdict,
)
from benchmarks.corrections.people import say
from benchmarks.corrections.world import loop_on, store
from medloop.core.imaging.decode import DecodedImage, content_sha256
from medloop.core.learn.recipe import TrainingConfig
from medloop.errors import StoreError
from medloop.jobs.alias_moves import moves
from medloop.jobs.bootstrap import bootstrap
from medloop.jobs.context import Context
from medloop.jobs.correct import correct
from medloop.jobs.evaluate import evaluate
from medloop.jobs.promote import promote
from medloop.jobs.retrain import plan
from medloop.jobs.train import train
from medloop.stack.process_guard import descendants
from medloop.stores.airflow import Airflow, DagRun
from medloop.stores.registry import CHAMPION

TASKS = ("snapshot", "train", "evaluate", "set_aside", "promote")
SETTLE_S = 540
HEARTBEAT_S = 20  # Airflow's default of 300 would make each kill of a task cost five minutes
BY = "fault run"


def versions(*, rounds: int = 30, seed: int = 21, old: str = "") -> dict[str, Any]:
    """Run a front end of the checkout `old` (with its own .venv) beside today's, and kill both."""
    chance = random.Random(seed)
    checkouts = (ROOT, Path(old))
    commit = subprocess.run(
        ["git", "-C", old, "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    )
    with store() as server, tempfile.TemporaryDirectory() as folder:
        context, environment = serving_place(server, Path(folder))
        front_ends = start_front_ends(environment, Path(folder), checkouts=checkouts)
        killed = storm([Store(server, chance), *front_ends], chance, rounds, between_s=(1, 3))
        for front_end in front_ends:
            front_end.stop()
        by_version = {
            name: sum("event" in line for line in front_end.lines())
            for name, front_end in zip(("today", "old"), front_ends, strict=True)
        }
        found = verdict(context, front_ends)
    return {
        "rounds": rounds, "old": commit.stdout.strip(), "killed": killed, "taken": by_version,
        **found,
    }  # fmt: skip


class Clock:
    """The clock of the front ends: hours off, in a file; to kill it is to move it."""

    name = "clock"

    def __init__(self, file: Path) -> None:
        self.file = file
        self._hours = itertools.cycle((2, 0, -2, 0))
        self.kill()

    def is_up(self) -> bool:
        return True

    def kill(self) -> None:
        self.file.write_text(str(next(self._hours)))


def clock(*, rounds: int = 45, seed: int = 22) -> dict[str, Any]:
    """Move the front ends' clock by two hours either way and back, between kills of them and S3.

    It is the clock that medloop reads. S3's and that of signatures stay: SeaweedFS would refuse
    whoever is two hours off, so that all waits until the clock is right.
    """
    chance = random.Random(seed)
    with store() as server, tempfile.TemporaryDirectory() as folder:
        context, environment = serving_place(server, Path(folder))
        moved = Clock(Path(folder) / "clock")
        front_ends = start_front_ends(environment, Path(folder), clock=moved.file)
        killed = storm(
            [moved, Store(server, chance), *front_ends], chance, rounds, between_s=(2, 4)
        )
        for front_end in front_ends:
            front_end.stop()
        found = verdict(context, front_ends)
    return {"rounds": rounds, "killed": killed, **found}


Moment = tuple[str, str | None, bool]  # a call of the registry, its first argument, and if after
MOMENTS: Sequence[Moment] = (
    ("register", None, True),  # the version is there
    ("attach", None, False),  # and is judged, but the report is not kept
    ("move_alias", CHAMPION, False),  # the move stands in the ledger
    ("move_alias", CHAMPION, True),  # and is made
)


class Failing:
    """A registry whose server is killed at one of its calls, before or after it is carried out."""

    def __init__(self, registry: Any, moment: Moment, kill: Callable[[], None]) -> None:
        self._registry = registry
        self._call, self._first, self._after = moment
        self._kill = kill

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._registry, name)
        return self._dying(found) if name == self._call else found

    def _dying(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def die(*arguments: Any, **named: Any) -> Any:
            meant = self._first in (None, arguments[0])
            if meant and not self._after:
                self._kill()
            done = call(*arguments, **named)
            if meant and self._after:
                self._kill()
            return done

        return die


def between(*, rounds: int = 2) -> dict[str, Any]:
    """Kill MLflow between registration and alias: at four moments, each in `rounds` weeks."""
    found: Counter[str] = Counter()
    with loop() as site:
        context = site.context
        bootstrap(context, config=TrainingConfig.smoke())
        for number, moment in enumerate(MOMENTS * rounds):
            say(context, number)
            context.sender.send_once()
            found.update(
                interrupted_week(context, moment, site.mlflow, TrainingConfig.smoke(number))
            )
    return {"weeks": rounds * len(MOMENTS), **found}


def interrupted_week(
    context: Context, moment: Moment, mlflow: MLflowServer, config: TrainingConfig
) -> dict[str, int]:
    """Do a week that MLflow dies in, and again when it is back; count what is wrong then."""
    failing = Failing(context.registry, moment, mlflow.kill)
    broken = replace(context, registry=failing)  # type: ignore[arg-type]
    before, ledger = len(context.registry.versions()), len(moves(context))
    snapshot_id = str(plan(context, force=True).snapshot_id)
    with suppress(StoreError):
        force_week(broken, snapshot_id, config)
        raise AssertionError("MLflow was to die")
    mlflow.start()
    version = force_week(context, snapshot_id, config)
    made = moves(context)
    right = context.registry.version_of(CHAMPION) == version == made[-1].to_version
    return {
        "champion_is_the_ledgers": right,
        "versions_too_many": len(context.registry.versions()) - before - 1,
        "moves_too_many": len(made) - ledger - 1,
    }


def force_week(context: Context, snapshot_id: str, config: TrainingConfig) -> str:
    """Train, judge, and make the version the champion whatever the gate says."""
    version = train(context, snapshot_id=snapshot_id, config=config).version
    evaluate(context, version=version)
    promote(context, version=version, by=BY, reason="the champion is to move", force=True)
    return version


def scheduler() -> dict[str, Any]:
    """Kill Airflow's scheduler in each task of a weekly run; then do the old run again."""
    with loop() as site, tempfile.TemporaryDirectory() as folder:
        context = site.context
        bootstrap(context, config=TrainingConfig.smoke())
        correct_flipped(context, 40)
        server = site.airflow(Path(folder))
        server.start()
        try:
            client = server.client()
            wait_until(lambda: _opened(client), what="the DAG should be parsed", timeout_s=120)
            run_id = client.trigger({"min_new": 1})
            killed = [task for task in TASKS if _killed_in(server, client, run_id, task)]
            first = _finished(client, run_id)
            found = {
                "killed_in": killed, "run": first.state, "tasks": dict(first.tasks),
                "versions": [item.version for item in context.registry.versions()],
                "moves": len(moves(context)), "champion_is_the_ledgers": champion_fits(context),
            }  # fmt: skip
            return {**found, "done_again": _cleared(context, client, first)}
        finally:
            server.stop()


def correct_flipped(context: Context, count: int) -> None:
    """Correct so many sample pictures as a scanner would show them that turns them over."""
    sample = context.datasets.get(None)
    for row in np.linspace(0, len(sample.images) - 1, count).astype(int):
        pixels = np.ascontiguousarray(np.flipud(sample.images[row]))
        correct(
            context,
            image=DecodedImage(pixels=pixels, sha256=content_sha256(pixels), kind="PNG"),
            given_label=sample.labels[sample.targets[row]],
            prediction=None,
            model_version="1",
            who="ada",
        )
    context.sender.send_once()


def _opened(client: Airflow) -> bool:
    """Unpause the DAG; False while Airflow has not parsed it."""
    with suppress(StoreError):
        client.set_paused(False)
        return True
    return False


def _killed_in(server: AirflowServer, client: Airflow, run_id: str, task: str) -> bool:
    """Kill the scheduler with all below it while the task runs, and start it again."""

    def state() -> str | None:
        with suppress(StoreError):
            return client.run(run_id).tasks.get(task)
        return None

    seen = ("running", "success", "skipped", "failed")
    wait_until(lambda: state() in seen, what=f"{task} should run", timeout_s=SETTLE_S)
    if state() != "running":
        return False
    assert server.scheduler.process is not None
    for pid in descendants([server.scheduler.process.pid]):  # its guard then ends by itself
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    server.scheduler.process.wait(30)
    server.scheduler.start()
    return True


def _finished(client: Airflow, run_id: str) -> DagRun:
    def over() -> bool:
        with suppress(StoreError):
            return client.run(run_id).finished
        return False

    wait_until(over, what=f"{run_id} should end", timeout_s=SETTLE_S, every_s=1)
    return client.run(run_id)


def _cleared(context: Context, client: Airflow, old: DagRun) -> dict[str, Any]:
    """Clear an old run's tasks when another version is champion, and look what has changed."""
    say(context, 10**6)
    context.sender.send_once()
    newer = force_week(context, str(plan(context, force=True).snapshot_id), TrainingConfig.smoke(9))
    versions_made, made = len(context.registry.versions()), len(moves(context))
    client.clear(old.run_id, TASKS[1:])
    again = _finished(client, old.run_id)
    return {
        "run": again.state, "tasks": dict(again.tasks),
        "trained": client.result(old.run_id, "train"),
        "new_versions": len(context.registry.versions()) - versions_made,
        "new_moves": len(moves(context)) - made,
        "champion_stayed": context.registry.version_of(CHAMPION) == newer,
    }  # fmt: skip


@dataclass(frozen=True)
class Site:
    """A loop with the servers that it is on."""

    context: Context
    seaweedfs: SeaweedFS
    mlflow: MLflowServer

    def airflow(self, folder: Path) -> AirflowServer:
        """Make an Airflow on these servers, which notices a dead task sooner than by default."""
        variable = {"home": str(folder / "worker"), "identity": "plain", "review": "trust"}
        bucket = self.context.settings.s3_bucket
        own = {
            **connections(self.seaweedfs, self.mlflow, bucket=bucket),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder(folder)),
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(HEARTBEAT_S),
            "AIRFLOW_VAR_MEDLOOP": json.dumps(variable),
        }
        return AirflowServer(folder, own)


@contextmanager
def loop() -> Iterator[Site]:
    """Wire a loop on a real S3 and a real MLflow that are gone when the block ends."""
    with store() as seaweedfs, tempfile.TemporaryDirectory() as folder:
        mlflow = MLflowServer(Path(folder), seaweedfs)
        mlflow.start()
        try:
            context = loop_on(seaweedfs, Path(folder) / "home", mlflow=mlflow, review="trust")
            yield Site(context, seaweedfs, mlflow)
        finally:
            mlflow.stop()
