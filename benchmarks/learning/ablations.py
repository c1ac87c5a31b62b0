"""What each idea of the recipe is worth: the sample preset without it, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from benchmarks.learning import measure
from benchmarks.learning.data import Base, External, Unknown, timed
from medloop.core.learn import augment, export, network, recipe
from medloop.core.learn.config import TrainingConfig
from medloop.core.learn.recipe import TrainingData
from medloop.core.prediction.predictor import Predictor


@dataclass(frozen=True, slots=True)
class Ablation:
    """One idea left out: augmentation steps by name, or settings changed, or the network."""

    steps: tuple[str, ...] = ()
    config: dict[str, Any] | None = None
    widths: tuple[int, ...] = network.WIDTHS
    views: tuple[float, float] = (1.0, 1.0)  # factors of the standardised and the plain view


ABLATIONS = {
    "the recipe": Ablation(),
    "without rendering backgrounds anew": Ablation(("rerender",)),
    "without new levels for flat regions": Ablation(("remap", "shade")),
    "without random windows and curves": Ablation(("rewindow", "curve")),
    "without random convolutions": Ablation(("random_convolutions",)),
    "without inversion": Ablation(("invert",)),
    "without crops, scales, aspects, turns": Ablation(("move",)),
    "without lower resolution and blur": Ablation(("coarsen", "blur")),
    "without JPEG loss": Ablation(("compress",)),
    "without noise": Ablation(("add_noise", "salt_and_pepper")),
    "without text, borders, lines, patches": Ablation(
        ("draw_over", "frame", "interfere", "occlude")
    ),
    "without averaged weights": Ablation(config={"averaging": 0.0}),
    "without leaving out the worst views": Ablation(config={"trimmed": 0.0}),
    "without unaltered images": Ablation(config={"unaltered_at_first": 0.0, "unaltered": 0.0}),
    "with the standardised view alone": Ablation(views=(1.0, 0.0)),
    "with the plain view alone": Ablation(views=(0.0, 1.0)),
    "twice as wide": Ablation(widths=(32, 64, 128, 192)),
}


@contextmanager
def _left_out(ablation: Ablation) -> Iterator[None]:
    steps = tuple(step for step in augment.STEPS if step.change.__name__ not in ablation.steps)
    assert len(steps) == len(augment.STEPS) - len(ablation.steps), ablation.steps
    factors = np.array(ablation.views, np.float32).reshape(1, 2, 1, 1)
    seen, written = network.two_views, export._two_views

    def two_views(images: Tensor) -> Tensor:
        return seen(images) * torch.from_numpy(factors)

    def in_the_file(graph: export.Graph) -> str:
        return graph.add("Mul", [written(graph), graph.constant(factors, "factors")], "views")

    with (
        patch.object(augment, "STEPS", steps),
        patch.object(network, "two_views", two_views),
        patch.object(export, "_two_views", in_the_file),
        patch.object(
            recipe, "Network", lambda n_classes: network.Network(n_classes, ablation.widths)
        ),
    ):
        yield


def without_each(
    data: TrainingData, base: Base, external: External, unknown: dict[str, Unknown], seeds: int
) -> dict[str, Any]:
    """Measure each variant: the mean over seeds, and the range that the seeds span."""
    found: dict[str, Any] = {}
    for name, ablation in ABLATIONS.items():
        rows = [_measured(data, base, external, unknown, ablation, seed) for seed in range(seeds)]
        found[name] = {
            column: {"mean": float(np.mean(values)), "range": [min(values), max(values)]}
            for column in rows[0]
            for values in [[row[column] for row in rows]]
        }
        print(
            name,
            {column: round(value["mean"], 4) for column, value in found[name].items()},
            flush=True,
        )
    return found


def _measured(
    data: TrainingData,
    base: Base,
    external: External,
    unknown: dict[str, Unknown],
    ablation: Ablation,
    seed: int,
) -> dict[str, float]:
    config = replace(TrainingConfig.sample(seed), **(ablation.config or {}))
    with _left_out(ablation):
        model, seconds = timed(data, config)
    predictor = Predictor(model.onnx)
    scores = measure.accuracies(
        lambda images: predictor.predict_arrays(images).probabilities, base, external
    )
    said = measure.verdicts(predictor, base, external, unknown)
    n_unknown = sum(kind["n"] for kind in said["unknown"].values())
    return {
        "base": scores["base"],
        "external": scores["external"],
        "corruptions": scores["corruptions"],
        "external ECE": scores["external_ece"],
        "confident": said["external_confident"],
        "kept": sum(kind["n"] * kind["kept_as_known"] for kind in said["unknown"].values())
        / max(1, n_unknown),
        "seconds": seconds,
    }
