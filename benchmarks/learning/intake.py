"""A week's corrections by ten people, as training sees them: real jobs, the store in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tests.corrections_world import World, decoded

from benchmarks.learning.data import Arrays, Base
from medloop.core.data.datasets import Dataset
from medloop.core.prediction.predictor import Predictor
from medloop.jobs.correct import correct
from medloop.jobs.screen import screen
from medloop.jobs.snapshot import snapshot
from medloop.stores.objects import ObjectStore

PEOPLE = 10


@dataclass(frozen=True, slots=True)
class Given:
    """Corrections as people gave them."""

    images: np.ndarray  # uint8 [N, 64, 64]
    targets: np.ndarray  # int64 [N], what was said
    people: np.ndarray  # int64 [N], who said so
    wrong: np.ndarray  # bool [N]


@dataclass(frozen=True, slots=True)
class Champion:
    """A registry that knows one model."""

    onnx: bytes

    def version_of(self, _alias: str) -> str:
        return "1"

    def model_file(self, _version: str) -> bytes:
        return self.onnx


@dataclass(frozen=True, slots=True)
class OneDataset:
    """A store of data sets that holds one."""

    dataset: Dataset

    def get(self, _dataset_id: str | None = None) -> Dataset:
        return self.dataset


def honest(corrections: Arrays, seed: int) -> Given:
    """Have everybody give the right class."""
    images, targets = corrections
    people = np.random.default_rng([seed, 1]).integers(0, PEOPLE, len(targets))
    return Given(images, targets, people, np.zeros(len(targets), bool))


def poisoned(corrections: Arrays, n_classes: int, share: float, seed: int) -> Given:
    """Have one of the ten give `share` of all corrections, wrong: the same class for a class."""
    images, targets = corrections
    rng = np.random.default_rng(seed)
    wrong = np.zeros(len(targets), bool)
    wrong[rng.permutation(len(targets))[: round(share * len(targets))]] = True
    said = np.where(wrong, (targets + 1 + rng.integers(0, n_classes - 1)) % n_classes, targets)
    people = np.where(wrong, PEOPLE - 1, rng.integers(0, PEOPLE - 1, len(targets)))
    return Given(images, said, people, wrong)


def accepted(given: Given, base: Base, champion: bytes) -> Arrays:
    """Give what a snapshot accepts by the default settings, screened as the weekly run screens."""
    with tempfile.TemporaryDirectory() as home:
        world = world_of(base, champion, Path(home))
        give(world, given, base.labels)
        screen(world.context)
        kept = world.context.snapshots.load(snapshot(world.context).snapshot_id)
    return kept.images, np.array(
        [base.labels.index(label) for label in kept.labels], dtype=np.int64
    )


def world_of(base: Base, champion: bytes, home: Path) -> World:
    """Set up a store in memory with this base data set and champion."""
    registry, server = Champion(champion), "http://127.0.0.1:9"
    world = World(ObjectStore.in_memory(), home, registry=registry, mlflow_tracking_uri=server)
    world.context = replace(world.context, datasets=OneDataset(_dataset(base)))
    return world


def give(world: World, given: Given, labels: Sequence[str]) -> None:
    """Have people correct what the champion says, and everything stored."""
    answers = Predictor(world.context.registry.model_file("1")).predict(list(given.images))
    people = [f"person {who}" for who in given.people]
    for image, target, who, answer in zip(
        given.images, given.targets, people, answers, strict=True
    ):
        correct(
            world.context, image=decoded(image), given_label=labels[target],
            prediction=answer, model_version="1", who=who,
        )  # fmt: skip
    while world.context.outbox.pending(1):
        world.context.sender.send_once()


def wrong_among(taken: Arrays, given: Given) -> int:
    """Count the accepted corrections that are wrong."""
    wrong = {
        (image.tobytes(), int(said))
        for image, said in zip(given.images[given.wrong], given.targets[given.wrong], strict=True)
    }
    return sum((image.tobytes(), int(said)) in wrong for image, said in zip(*taken, strict=True))


def _dataset(base: Base) -> Dataset:
    classes = np.array(base.labels)[base.targets].tolist()
    names = [f"{number:06}" for number in range(len(base.targets))]
    return Dataset.build(images=base.images, classes=classes, groups=base.groups, names=names)
