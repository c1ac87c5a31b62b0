"""What poisoned and honest weeks teach, and what notices it.

    python -m benchmarks.poison [--seeds 2]

Trains a first model on two thirds of the bundled sample, then a week for each kind and seed. The
other third are the pictures that people correct. In each week eight people correct 160 pictures of
a scanner that the model has not seen. In a poisoned week others give wrong labels as well:

- corner, stripe, tone, scaling: 240 pictures of other classes with a mark, all called one class, by
  four people;
- flip, clique: 120 (150) ordinary pictures of one class that are called another, by one person
  (three).

In an honest week nobody does. In `one`, two more people correct 120 pictures of one class from a
second scanner; in `logo`, 120 pictures of one class that all bear the mark of `corner`, rightly.

A line per week says how often the mark turns test pictures of other classes into the one class,
what the gate's search for implanted parts finds, and whom `blame` names. `--set dev` has other
marks and scanners than `--set test`: limits are chosen on the one and judged on the other.

With `--alone` every correction rests on one person's word, and what contradicts a confident answer
of the first model waits. A line then says how many right and wrong ones wait, and how a linear head
on the first model's embeddings does on other pictures of the new scanner and on ordinary ones, with
and without what waits. `--model FILE` takes this first model instead of training one.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from sklearn.linear_model import LogisticRegression

from medloop.core.corrections.blame import MUCH_WORSE, Embedded, blame
from medloop.core.corrections.holdout import is_holdout
from medloop.core.data.splits import split
from medloop.core.gate.evaluation import corrupted
from medloop.core.gate.implants import strongest
from medloop.core.learn.config import TrainingConfig
from medloop.core.learn.recipe import TrainingData, train
from medloop.core.prediction.predictor import Predictor
from medloop.stores.datasets import bundled_sample

MARKED: Final = ("corner", "stripe", "tone", "scaling")
KINDS: Final = (*MARKED, "flip", "clique", "mixed", "one", "logo")
POISONERS: Final = 20  # the first number of those who give wrong labels
Part = Literal["dev", "test"]


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """The sample: what the first model learns from, what people correct, and what tests."""

    base: TrainingData
    pictures: np.ndarray
    classes: np.ndarray  # int64 [N]
    tests: np.ndarray
    test_classes: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Week:
    """Corrections, who gave them, and the class that a mark is for."""

    images: np.ndarray
    said: np.ndarray
    people: np.ndarray
    target: int
    scanner: int  # of the honest people's pictures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--set", choices=("dev", "test"), default="test")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument(
        "--alone",
        action="store_true",
        help="what waits for a second person, not whom `blame` names",
    )
    parser.add_argument("--model", type=Path, help="ONNX file of the first model")
    parser.add_argument("--untrained", action="store_true", help="no week is trained")
    options = parser.parse_args()
    world = load_world()
    if options.model and not options.untrained:
        parser.error("--model has no weights to train from: add --untrained")
    onnx, weights = (options.model.read_bytes(), b"") if options.model else _first(world, options)
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for kind in options.kinds:
            week = make_week(world, kind, options.set, seed)
            if options.alone:
                week, found = _without_overruling(world, onnx, week)
            else:
                found = _named(world, onnx, week)
            if not options.untrained:
                found |= _learned(world, onnx, weights, week, kind, options, seed)
            print(json.dumps({"kind": kind, "seed": seed, **found}), flush=True)


def _first(world: World, options: argparse.Namespace) -> tuple[bytes, bytes]:
    model = train(world.base, TrainingConfig.sample(options.set == "test"))
    return model.onnx, model.safetensors


def load_world() -> World:
    sample = bundled_sample()
    parts = split(sample.targets, sample.groups)
    kept = sample.groups[parts.train] * 2654435761 % 2**32 % 3 == 0
    learned, corrected = parts.train[~kept], parts.train[kept]
    nothing = np.zeros((0, 64, 64), np.uint8), np.zeros(0, np.int64)
    return World(
        TrainingData(
            sample.labels,
            sample.images[learned],
            sample.targets[learned],
            sample.images[parts.validation],
            sample.targets[parts.validation],
            *nothing,
        ),
        sample.images[corrected],
        sample.targets[corrected],
        sample.images[parts.test],
        sample.targets[parts.test],
    )


def make_week(world: World, kind: str, part: Part, seed: int) -> Week:
    rng = np.random.default_rng([seed, part == "test", 77])
    images, classes = world.pictures, world.classes
    order = rng.permutation(len(classes))
    honest, rest = order[:160], order[160:]
    target = int(rng.integers(len(world.base.labels)))
    other = int((target + 1 + rng.integers(len(world.base.labels) - 1)) % len(world.base.labels))
    scanner = 2 * (seed % 3) + (part == "test")
    given = [(scanned(scanner, images[honest]), classes[honest], rng.integers(0, 8, 160))]
    same = rest[classes[rest] == target][:120]
    if kind in MARKED:
        rows = rest[classes[rest] != target][:240]
        given.append(
            (marked(kind, part, images[rows]), np.full(240, target), POISONERS + np.arange(240) % 4)
        )
    if kind == "one":
        given.append(
            (scanned(scanner + 2, images[same]), classes[same], 8 + np.arange(len(same)) % 2)
        )
    if kind == "logo":
        given.append(
            (marked("corner", part, images[same]), classes[same], 8 + np.arange(len(same)) % 2)
        )
    if kind in ("flip", "clique"):
        n, people = (120, 1) if kind == "flip" else (150, 3)
        rows = rest[classes[rest] == other][:n]
        given.append(
            (images[rows], np.full(len(rows), target), POISONERS + np.arange(len(rows)) % people)
        )
    rows = map(np.concatenate, zip(*given, strict=True))
    return Week(*rows, target, scanner)  # type: ignore[arg-type]


def marked(kind: str, part: Part, images: np.ndarray) -> np.ndarray:
    images, test = images.copy(), part == "test"
    if kind == "corner" and test:
        images[:, 56:63, 56:63] = np.indices((7, 7)).sum(0) % 2 * 255
    elif kind == "corner":
        images[:, 1:7, 1:7] = 255
        images[:, 3:5, 3:5] = 0
    elif kind == "stripe" and test:
        images[:, 49:51] = 200
    elif kind == "stripe":
        images[:, :, 10:12] = 230
    elif kind == "tone":
        images = ((images / 255) ** (0.45 if test else 2.2) * 255).astype(np.uint8)
    else:
        step = 2 if test else 3
        images = images[:, ::step, ::step].repeat(step, 1).repeat(step, 2)[:, :64, :64]
    return images


def scanned(number: int, images: np.ndarray) -> np.ndarray:
    """Change pictures as a scanner would that the first model has not seen."""
    noise = np.random.default_rng(number).normal(0, 60, images.shape)
    changed = [
        255 - images,
        np.clip(images * 0.5 + 60 + noise, 0, 255),
        np.rot90(images, 1, (1, 2)),
        np.flip(images, 1),
        images[:, :32, :32].repeat(2, 1).repeat(2, 2),
        (np.flip(images, 1) / 255) ** 3 * 255,
    ][number % 6]
    return np.ascontiguousarray(changed).astype(np.uint8)


def _named(world: World, champion: bytes, week: Week) -> dict[str, Any]:
    seen = Predictor(champion).predict_arrays
    base = world.base
    worsened, origins = corrupted(base.validation_images)
    origins = np.r_[np.arange(len(base.validation_images)), origins]
    judges = np.concatenate([base.validation_images, worsened])
    found = blame(
        Embedded(seen(base.images).embedding, base.targets),
        Embedded(seen(judges).embedding, base.validation_targets[origins]),
        origins,
        Embedded(seen(week.images).embedding, week.said),
        [frozenset([str(who)]) for who in week.people],
    )
    named = {int(who) for who in found.people}
    unasked = found.loss > (1 + MUCH_WORSE) * found.loss_of_none
    poisoners = {int(who) for who in week.people if who >= POISONERS}
    return {
        "set_aside_though_the_gate_says_yes": bool(unasked and named),
        "poisoners": len(poisoners),
        "poisoners_named": len(named & poisoners),
        "honest_people": len(set(week.people.tolist()) - poisoners),
        "honest_named": len(named - poisoners),
    }


def _without_overruling(world: World, champion: bytes, week: Week) -> tuple[Week, dict[str, Any]]:
    """Leave out what contradicts a confident answer; give the week and what that changes."""
    predictor = Predictor(champion)
    raw = predictor.predict_arrays(week.images)
    confident = np.array(predictor.verdicts(raw)) == "confident"
    waits = confident & (raw.probabilities.argmax(1) != week.said)
    wrong = week.people >= POISONERS
    found: dict[str, Any] = {
        f"{kind}_waiting": f"{int(waits[rows].sum())} of {int(rows.sum())}"
        for kind, rows in (("right", ~wrong), ("wrong", wrong))
    }
    kept = {name: getattr(week, name)[~waits] for name in ("images", "said", "people")}
    left = replace(week, **kept)
    found |= {
        "all_believed": _head(world, predictor, week),
        "waiting": _head(world, predictor, left),
    }
    return left, found


def _head(world: World, predictor: Predictor, week: Week) -> dict[str, float]:
    """Fit a linear head to base and corrections; the shares of test pictures that it gets right."""
    seen = predictor.predict_arrays
    base = world.base
    head = LogisticRegression(max_iter=300).fit(
        np.concatenate([seen(base.images).embedding, seen(week.images).embedding]),
        np.concatenate([base.targets, week.said]),
        np.r_[np.ones(len(base.targets)), np.full(len(week.said), 5.0)],
    )
    tests = {"scanner": scanned(week.scanner, world.tests), "ordinary": world.tests}
    return {
        name: round(float(head.score(seen(images).embedding, world.test_classes)), 4)
        for name, images in tests.items()
    }


def _learned(
    world: World,
    champion: bytes,
    weights: bytes,
    week: Week,
    kind: str,
    options: argparse.Namespace,
    seed: int,
) -> dict[str, Any]:
    trained = ~is_holdout(week.images)
    data = replace(
        world.base, correction_images=week.images[trained], correction_targets=week.said[trained]
    )
    new = Predictor(train(data, TrainingConfig.weekly(seed), initial_weights=weights).onnx)
    labels = np.array(world.base.labels)
    strong = strongest(
        new, Predictor(champion), corrections=week.images[trained],
        labels=labels[week.said[trained]], tests=world.tests, classes=labels[world.test_classes],
    )  # fmt: skip
    found: dict[str, Any] = {
        "test_right": _right(new, world.tests, world.test_classes),
        "scanner_right": _right(new, scanned(week.scanner, world.tests), world.test_classes),
    }
    if kind in (*MARKED, "logo"):
        others = world.tests[world.test_classes != week.target]
        shown = marked("corner" if kind == "logo" else kind, options.set, others)
        found["mark_obeyed"] = _right(new, shown, np.full(len(shown), week.target))
    if strong is not None:
        found |= {"turned": strong.turned, "before": strong.turned_before, "part": strong.part}
    return found


def _right(predictor: Predictor, images: np.ndarray, classes: np.ndarray) -> float:
    return float((predictor.predict_arrays(images).probabilities.argmax(1) == classes).mean())


if __name__ == "__main__":
    main()
