"""Run whole weeks with poison through the real jobs, S3 and MLflow, with real trainings.

    python -m benchmarks.poisoned_week [--kinds flip clique] [--seeds 3]

The people are those of `benchmarks.poison`, and the pictures, too, but mirrored: the base data set
is the whole sample, so that the gate has all of its test images. Nothing is screened, so that the
gate and `set_aside` stand alone. A line per week says what the gate said of the first version and
why, whom `set_aside` named, what the gate said of the second version, who is champion, and how many
pictures of the new scanner are right before and after.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from tests.servers import MLflowServer, SeaweedFS

from benchmarks.corrections.world import event_for, loop_on, store
from benchmarks.poison import KINDS, POISONERS, Week, load_world, make_week, scanned
from medloop.core.corrections.events import event_key, image_key
from medloop.core.gate.words import reasons
from medloop.core.imaging.decode import DecodedImage, content_sha256, encode_png
from medloop.core.learn.config import TrainingConfig
from medloop.core.prediction.predictor import Predictor
from medloop.jobs.context import Context
from medloop.jobs.evaluate import evaluate
from medloop.jobs.promote import promote
from medloop.jobs.set_aside import without_harm
from medloop.jobs.snapshot import accepted_labels, snapshot
from medloop.jobs.train import recipe_for, run_training, train
from medloop.jobs.training_data import gather
from medloop.jobs.training_environment import environment
from medloop.jobs.training_record import training_run
from medloop.stores.datasets import bundled_sample
from medloop.stores.registry import CHAMPION, REFERENCE


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=("flip", "clique"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--shorter", type=int, default=1, help="divide all trainings' steps by it")
    options = parser.parse_args()
    world = load_world()
    with store() as seaweedfs, tempfile.TemporaryDirectory() as folder:
        mlflow = MLflowServer(Path(folder), seaweedfs)
        mlflow.start()
        try:
            sites = Sites(Path(folder), seaweedfs, mlflow, options.shorter)
            seeds = range(options.first_seed, options.first_seed + options.seeds)
            for seed, kind in itertools.product(seeds, options.kinds):
                week = make_week(world, kind, "test", seed)
                found = run_week(sites, f"{kind}-{seed}", week, 2 * (seed % 3) + 1)
                print(json.dumps({"kind": kind, "seed": seed, **found}), flush=True)
        finally:
            mlflow.stop()


class Sites:
    """Loops on one S3 and one MLflow, each with a bucket and a registered model of its own."""

    def __init__(
        self, folder: Path, seaweedfs: SeaweedFS, mlflow: MLflowServer, shorter: int
    ) -> None:
        self._folder = folder
        self._seaweedfs = seaweedfs
        self._mlflow = mlflow
        self.labels = bundled_sample().labels
        first = self._connect("first")
        self._training_set = gather(first, snapshot_id="", base_id=None, champion_labels=())
        self.weekly = _shortened(TrainingConfig.weekly(), shorter)
        sample = _shortened(TrainingConfig.sample(), shorter)
        self._recipe = recipe_for(first, self._training_set, config=sample)
        self._trained = run_training(first, self._training_set, self._recipe)
        rows = self._training_set.split.test
        self.tests = self._training_set.base.images[rows]
        self.classes = self._training_set.base_targets[rows]

    def open(self, name: str) -> Context:
        """Give a loop whose champion and reference are the first model, trained once for all."""
        context = self._connect(name)
        run = training_run(
            context, self._training_set, self._recipe, self._trained, seconds=0.0,
            environment=environment(device="cpu"), token=0,
        )  # fmt: skip
        version = context.registry.register(run).version
        for alias in (CHAMPION, REFERENCE):
            context.registry.move_alias(alias, version, expected=None)
        return context

    def _connect(self, name: str) -> Context:
        home = self._folder / "home"
        return loop_on(self._seaweedfs, home, mlflow=self._mlflow, model_name=name, experiment=name)


def _shortened(config: TrainingConfig, by: int) -> TrainingConfig:
    return replace(config, steps=config.steps // by, n_unknown=config.n_unknown // by, device="cpu")


def run_week(sites: Sites, name: str, week: Week, scanner: int) -> dict[str, Any]:
    """Let people correct, and do what the weekly DAG does after its snapshot."""
    context = sites.open(name)
    givers = give(context, sites.labels, week)
    taken = snapshot(context).snapshot_id
    first = train(context, snapshot_id=taken, config=sites.weekly).version
    judged = evaluate(context, version=first)
    second = without_harm(context, version=first, config=sites.weekly)
    judged_again = evaluate(context, version=second)
    outcome = promote(context, version=second, by="benchmark")
    snapshot_id = context.registry.get(second).tags.snapshot_id
    before, learned = accepted_labels(context, taken), accepted_labels(context, snapshot_id)
    aside = Counter(givers[sha256] for sha256 in before.keys() - learned.keys())
    champion = context.registry.version_of(CHAMPION)
    shown = np.flip(scanned(scanner, sites.tests), 2)
    right = {
        version: round(_right(context, version, shown, sites.classes), 3)
        for version in ("1", second)
    }
    return {
        "first_passed": judged.passed, "first_reasons": [] if judged.passed else reasons(judged),
        "set_aside": dict(sorted(aside.items())), "ran_again": second != first,
        "second_passed": judged_again.passed,
        "second_reasons": [] if judged_again.passed else reasons(judged_again),
        "promoted": outcome.promoted, "champion_is_it": champion == second,
        "honest_learned": sum(not _is_poisoner(givers[sha256]) for sha256 in learned),
        "poison_learned": sum(_is_poisoner(givers[sha256]) for sha256 in learned),
        "new_scanner_right": right,
    }  # fmt: skip


def give(context: Context, labels: Sequence[str], week: Week) -> dict[str, str]:
    """Store the week's corrections; who gave each, by image hash."""
    givers: dict[str, str] = {}
    items: list[tuple[str, bytes]] = []
    mirrored = np.ascontiguousarray(np.flip(week.images, 2))
    for pixels, said, who in zip(mirrored, week.said, week.people, strict=True):
        shown = DecodedImage(pixels=pixels, sha256=content_sha256(pixels), kind="PNG")
        event = event_for(shown, datetime.now(UTC), who=f"person {who}", label=labels[said])
        givers[shown.sha256] = event.who
        items += [
            (image_key(shown.sha256), encode_png(pixels)),
            (event_key(event), event.to_json()),
        ]
    context.objects.ensure_many(items)
    return givers


def _is_poisoner(person: str) -> bool:
    return int(person.removeprefix("person ")) >= POISONERS


def _right(context: Context, version: str, images: np.ndarray, classes: np.ndarray) -> float:
    answers = Predictor(context.registry.model_file(version)).predict_arrays(images)
    return float((answers.probabilities.argmax(1) == classes).mean())


if __name__ == "__main__":
    main()
