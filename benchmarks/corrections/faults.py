"""Kill -9 while corrections flow: none is lost, doubled or mislabelled, and a champion remains.

The stack is the one that `medloop up` starts, with a supervisor that restarts killed processes. Two
front ends take the corrections, so that one lives when the other is hit. A trainer moves the
champion.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.progress import track
from tests.e2e.stack import Stack
from tests.models import model
from tests.servers import SeaweedFS, clean_environment, wait_until

from benchmarks.corrections.world import label_of, loop_on, new_bucket, picture, store
from medloop.core.corrections.events import Correction, image_key
from medloop.core.corrections.fold import fold
from medloop.core.corrections.snapshot import Manifest
from medloop.core.imaging.decode import decode
from medloop.errors import StoreError
from medloop.jobs.alias_moves import moves
from medloop.jobs.bootstrap import bootstrap
from medloop.jobs.context import Context
from medloop.jobs.snapshot import snapshot
from medloop.stack.process_guard import descendants
from medloop.stack.state_folder import StateFolder
from medloop.stack.supervisor import Supervisor
from medloop.stores.airflow import Airflow
from medloop.stores.corrections import event_id_of
from medloop.stores.model_cache import CachedModel, ModelCache
from medloop.stores.registry import CHAMPION

ROOT = Path(__file__).parents[2]
PAUSE_S = 0.25  # of a front end between two corrections
SUPERVISED = {
    "S3": "seaweedfs",
    "MLflow": "mlflow",
    "scheduler": "airflow-scheduler",
    "page": "app",
}
DAG_EVERY = 12  # rounds: a DAG run takes a snapshot through the scheduler
SETTLE_S = 180
Line = Mapping[str, Any]  # of a front end's output


class Victim(Protocol):
    """Something to kill, which comes back."""

    name: str

    def is_up(self) -> bool: ...

    def kill(self) -> None: ...


class Own:
    """A process that this run starts, and starts again; all that it prints goes to one file."""

    def __init__(
        self,
        name: str,
        module: str,
        environment: Mapping[str, str],
        out: Path,
        *,
        checkout: Path = ROOT,
    ) -> None:
        self.name = name
        self.out = out
        self._checkout = checkout
        python = sys.executable if checkout == ROOT else str(checkout / ".venv" / "bin" / "python")
        self._command = [python, "-m", f"benchmarks.corrections.{module}"]
        self._environment = {**clean_environment(), **environment}
        self._lives = 0
        self._process: subprocess.Popen[bytes] | None = None
        self.arguments: Callable[[int], Sequence[str]] = lambda life: [str(life)]

    def start(self) -> None:
        arguments = self.arguments(self._lives)
        self._lives += 1
        self._said = self.out.stat().st_size if self.out.exists() else 0
        with self.out.open("ab") as out, self.out.with_suffix(".err").open("ab") as err:
            self._process = subprocess.Popen(
                [*self._command, *arguments],
                stdout=out,
                stderr=err,
                env=self._environment,
                cwd=self._checkout,
            )

    def is_up(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def has_spoken(self) -> bool:
        """Tell whether the current process has printed something."""
        return self.out.stat().st_size > self._said

    def stop(self) -> None:
        """For good."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(30)

    def kill(self) -> None:
        self.stop()
        self.start()

    def lines(self) -> list[dict[str, Any]]:
        """Read the output of all processes; a line that a kill cut off is dropped."""
        lines = self.out.read_bytes().split(b"\n")[:-1]
        found = []
        for line in lines:
            with suppress(ValueError):
                found.append(json.loads(line))
        return found


class FrontEnd(Own):
    """Takes corrections; killed only while another one can answer."""

    def __init__(
        self,
        number: int,
        environment: Mapping[str, str],
        folder: Path,
        *,
        checkout: Path = ROOT,
        clock: Path | None = None,
    ) -> None:
        out = folder / f"front-end-{number}.jsonl"
        super().__init__("front end", "front_end", environment, out, checkout=checkout)
        last = [str(clock)] if clock else []
        self.arguments = lambda life: [
            str((number * 10_000 + life) * 10_000), str(PAUSE_S), *last
        ]  # fmt: skip
        self.others: list[FrontEnd] = []

    def is_up(self) -> bool:
        return super().is_up() and all(
            Own.is_up(other) and other.has_spoken() for other in self.others
        )


class Supervised:
    """A component of the local stack, with all below it."""

    def __init__(self, name: str, component: str, supervisor: Supervisor) -> None:
        self.name = name
        self._component = component
        self._supervisor = supervisor
        self._killed: set[int] = set()

    def is_up(self) -> bool:
        return bool(self._alive())

    def kill(self) -> None:
        alive = self._alive()
        self._killed |= alive
        for pid in alive:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _alive(self) -> set[int]:
        (state,) = [state for state in self._supervisor.states() if state.name == self._component]
        return set(descendants([state.pid])) - self._killed if state.is_up else set()


class Store:
    """SeaweedFS without a supervisor: it comes back after a while."""

    name = "S3"

    def __init__(self, server: SeaweedFS, chance: random.Random) -> None:
        self._server = server
        self._chance = chance

    def is_up(self) -> bool:
        return True

    def kill(self) -> None:
        self._server.kill()
        time.sleep(self._chance.uniform(0, 1))
        self._server.start()


def faults(
    *, rounds: int = 200, seed: int = 11, least_s: float = 3.0, most_s: float = 6.0
) -> dict[str, Any]:
    """Kill -9 of front end, page, S3, MLflow, Airflow's scheduler and training at random moments.

    Kills are `least_s` to `most_s` apart; if they are longer apart, some trainings can finish.
    """
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="medloop-faults-") as folder:
        stack = Stack(Path(folder))
        stack.command("up", "--detach", "--no-training", timeout_s=600)
        try:
            return _whole_stack(stack, chance, rounds, between_s=(least_s, most_s))
        finally:
            stack.run("down")


def store_faults(*, rounds: int = 20, seed: int = 11) -> dict[str, Any]:
    """Kill front end and S3 alone, every 0.5 to 2 s; the champion is a cached one."""
    chance = random.Random(seed)
    with store() as server, tempfile.TemporaryDirectory() as folder:
        context, environment = serving_place(server, Path(folder))
        front_ends = start_front_ends(environment, Path(folder))
        killed = storm([Store(server, chance), *front_ends], chance, rounds, between_s=(0.5, 2))
        for front_end in front_ends:
            front_end.stop()
        return {"rounds": rounds, "seed": seed, "killed": killed, **verdict(context, front_ends)}


def serving_place(server: SeaweedFS, folder: Path) -> tuple[Context, dict[str, str]]:
    """Make a bucket and a state folder with a cached champion; the environment for front ends."""
    bucket, home = new_bucket(server), folder / "home"
    ModelCache(home / "models").write(CachedModel("1", model()))
    environment = {
        **server.environment, "MEDLOOP_S3_BUCKET": bucket, "MEDLOOP_HOME": str(home),
        "MEDLOOP_IDENTITY": "plain",
    }  # fmt: skip
    return loop_on(server, home, bucket=bucket), environment


def _whole_stack(
    stack: Stack, chance: random.Random, rounds: int, *, between_s: tuple[float, float]
) -> dict[str, Any]:
    from medloop.core.learn.recipe import TrainingConfig

    context, airflow = stack.context(), stack.airflow()
    bootstrap(context, config=TrainingConfig.smoke())
    front_ends = start_front_ends(_environment(stack, "app"), stack.folder)
    trainer = Own(
        "training",
        "trainer",
        _environment(stack, "airflow-scheduler"),
        stack.folder / "trainer.jsonl",
    )
    trainer.start()
    supervisor = Supervisor(StateFolder(stack.home))
    supervised = [Supervised(name, component, supervisor) for name, component in SUPERVISED.items()]
    runs: list[str] = []

    def trigger(number: int) -> None:
        if number % DAG_EVERY == 0:
            with suppress(StoreError):
                runs.append(airflow.trigger({"min_new": 10**6}, note="fault run"))

    killed = storm(
        [*front_ends, trainer, *supervised], chance, rounds, between_s=between_s, each=trigger
    )
    for own in (trainer, *front_ends):
        own.stop()
    wait_until(lambda: _answers(context), what="MLflow should answer again", timeout_s=SETTLE_S)
    wait_until(
        lambda: _all_run(supervisor), what="every component should run again", timeout_s=SETTLE_S
    )
    until = time.monotonic() + SETTLE_S
    done = Counter(_state_of(airflow, run_id, until) for run_id in runs)
    trained = [line["version"] for line in trainer.lines() if "version" in line]
    return {
        "rounds": rounds, "between_s": between_s, "killed": killed, **verdict(context, front_ends),
        "trainings_finished": len(trained), "trainings_failed": Counter(
            line["wrong"][:60] for line in trainer.lines() if "wrong" in line
        ),
        "champions": len(moves(context)), "champion_is_the_ledgers": champion_fits(context),
        "dag_runs": dict(done),
    }  # fmt: skip


def _environment(stack: Stack, component: str) -> dict[str, str]:
    """Read the environment of a component of the stack."""
    return dict(json.loads((stack.home / "config" / f"{component}.env.json").read_text()))


def start_front_ends(
    environment: Mapping[str, str],
    folder: Path,
    *,
    checkouts: Sequence[Path] = (ROOT, ROOT),
    clock: Path | None = None,
) -> list[FrontEnd]:
    """Start a front end of each checkout, by this clock; returns when all take corrections."""
    found = [
        FrontEnd(number, environment, folder, checkout=checkout, clock=clock)
        for number, checkout in enumerate(checkouts, 1)
    ]
    for front_end in found:
        front_end.others = [other for other in found if other is not front_end]
        front_end.start()
    for front_end in found:
        wait_until(front_end.has_spoken, what="a front end should take corrections", timeout_s=120)
    return found


def storm(
    victims: Sequence[Victim],
    chance: random.Random,
    rounds: int,
    *,
    between_s: tuple[float, float],
    each: Callable[[int], None] = lambda _number: None,
) -> dict[str, int]:
    """Kill one a round, each kind as often as another; how many of each."""
    killed: Counter[str] = Counter()
    kinds = sorted({victim.name for victim in victims})
    for number in track(range(rounds), "kill -9", console=Console(stderr=True)):
        time.sleep(chance.uniform(*between_s))
        kind = chance.choice(kinds)
        candidates = [victim for victim in victims if victim.name == kind]
        victim = chance.choice(candidates)
        wait_until(victim.is_up, what=f"{kind} should be up again", timeout_s=SETTLE_S)
        victim.kill()
        killed[kind] += 1
        each(number)
    return dict(killed)


def verdict(context: Context, front_ends: Sequence[FrontEnd]) -> dict[str, Any]:
    """Sends what is left and compares what was acknowledged with what is stored."""
    until = time.monotonic() + SETTLE_S
    while context.outbox.status().pending and time.monotonic() < until:
        context.sender.send_once()
    lines = [line for front_end in front_ends for line in front_end.lines()]
    said = {line["event"]: line for line in lines if "event" in line}
    went_wrong = [line["wrong"] for line in lines if "wrong" in line]
    keys = [info.key for info in context.objects.list("corrections")]
    stored = Counter(map(event_id_of, keys))
    taken = context.snapshots.manifest(snapshot(context).snapshot_id)
    return {
        "acknowledged": len(said),
        "stored": len(stored),
        "pending": context.outbox.status().pending,
        "lost": len(said.keys() - stored.keys()),
        "doubled": sum(count - 1 for count in stored.values()),
        "wrong": _wrong(context, keys, said),
        "not_the_last_word": _not_the_last_word(context, taken, said),
        "not_in_the_snapshot": len(
            stored.keys() - {event.id for event in context.snapshots.all_events(taken)}
        ),
        "unanswered": len(went_wrong),
        "why": sorted(set(went_wrong))[:5],
        "longest_without_an_answer_s": _longest_gap(
            [line["at"] for line in lines if "event" in line]
        ),
    }


def _wrong(context: Context, keys: Sequence[str], said: Mapping[str, Line]) -> int:
    """Stored corrections whose label or picture is not what that person saw and said."""
    events = [Correction.from_json(raw) for raw in context.objects.get_many(keys)]
    images = context.objects.find_many([image_key(event.image_sha256) for event in events])
    return sum(not _is_right(event, png, said) for event, png in zip(events, images, strict=True))


def _is_right(event: Correction, png: bytes | None, said: Mapping[str, Line]) -> bool:
    if png is None or decode(png).sha256 != event.image_sha256:
        return False
    line = said.get(event.id)
    if line is None:  # killed between the disk and the acknowledgement
        return True
    number = int(line["number"])
    return event.given_label == _label(line) and event.image_sha256 == picture(number).sha256


def _not_the_last_word(context: Context, taken: Manifest, said: Mapping[str, Line]) -> int:
    """Count pictures whose state is not what their person said last, by the order of saying."""
    states = fold(context.snapshots.all_events(taken))
    last = {int(line["number"]): line for line in said.values()}
    found = {number: states[picture(number).sha256] for number in last}
    return sum(
        state.label != _label(last[number]) and set(state.event_ids) <= said.keys()
        for number, state in found.items()
    )


def _label(line: Line) -> str:
    """Read the label that was given; older front ends only ever give the right one."""
    return str(line.get("label", label_of(int(line["number"]))))


def _longest_gap(times: list[float]) -> float:
    ordered = sorted(times)
    return round(max(after - before for before, after in itertools.pairwise(ordered)), 2)


def _answers(context: Context) -> bool:
    with suppress(StoreError):
        return context.registry.version_of(CHAMPION) is not None
    return False


def _all_run(supervisor: Supervisor) -> bool:
    return all(
        state.state in ("RUNNING", "EXITED") for state in supervisor.states()
    )  # EXITED: was to run once


def champion_fits(context: Context) -> bool:
    """Tell whether the alias agrees with the ledger, or is a step behind: a kill cut a move off."""
    last = moves(context)[-1]
    return context.registry.version_of(CHAMPION) in (last.to_version, last.from_version)


def _state_of(airflow: Airflow, run_id: str, until: float) -> str:
    """Tell how a DAG run ended; unfinished runs share the time until `until`."""
    while True:
        with suppress(StoreError):
            if (run := airflow.run(run_id)).finished:
                return run.state
        if time.monotonic() > until:
            return "not finished"
        time.sleep(1)
