"""Learning from a few corrections, honest and poisoned, against the alternatives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.learning import intake
from benchmarks.learning.data import Arrays, Base, External, spread, timed
from medloop.core.data.chance import balanced_accuracy
from medloop.core.learn.recipe import TrainingConfig, train
from medloop.core.learn.trained_model import TrainedModel
from medloop.core.none_of_these import TARGET
from medloop.core.prediction.predictor import Predictor, Verdict
from medloop.core.prediction.similar_images import nearest

SEEDS_OF_ALTERNATIVES = 2


@dataclass(frozen=True, slots=True)
class Halves:
    """External images to correct, and others to judge by."""

    corrections: Arrays
    test: Arrays


def halves(external: External, per_class: int, seed: int) -> Halves:
    """Take up to `per_class` corrections per class from half of its examinations, the rest as test.

    An examination is one volume. A class that comes from a single volume is cut in the middle of
    its slices, which share a patient: its share of the result flatters, and the report says so.
    """
    rng = np.random.default_rng(seed)
    first, second = [], []
    for c in np.unique(external.targets):
        rows = np.flatnonzero(external.targets == c)
        examinations = np.array([name.split("[")[0] for name in external.originals[rows]])
        names = np.unique(examinations)
        in_first = (
            np.isin(examinations, names[: len(names) // 2])
            if len(names) in (2, 3, 4)
            else np.arange(len(rows)) < len(rows) // 2
        )
        flip = bool(rng.integers(2))
        first.append(rng.permutation(rows[in_first != flip])[:per_class])
        second.append(rows[in_first == flip])
    a, b = np.concatenate(first), np.concatenate(second)
    return Halves(
        (external.images[a], external.targets[a]), (external.images[b], external.targets[b])
    )


def score(model: bytes, base: Base, test: Arrays) -> dict[str, float]:
    answers = Predictor(model).predict_arrays(test[0]).probabilities.argmax(1)
    return {"external": balanced_accuracy(test[1], answers), "base": base_accuracy(model, base)}


def base_accuracy(model: bytes, base: Base) -> float:
    images, targets = base.part(base.test)
    return float(
        (Predictor(model).predict_arrays(images).probabilities.argmax(1) == targets).mean()
    )


def weekly(
    base: Base, weights: bytes, corrections: Arrays, config: TrainingConfig
) -> tuple[TrainedModel, float]:
    return timed(base.training_data(corrections), config, initial_weights=weights)


def only_corrections(
    base: Base, weights: bytes, corrections: Arrays, config: TrainingConfig
) -> TrainedModel:
    """Train as the published system does, on the corrections alone."""
    images, targets = corrections
    data = replace(base.training_data(), images=images, targets=targets)
    return train(data, replace(config, steps=config.steps // 3), initial_weights=weights)


def frozen_heads(champion: bytes, base: Base, halves_: Halves) -> dict[str, dict[str, float]]:
    """Fit a linear head and a 5-nearest-neighbour vote on the champion's embeddings."""
    predictor = Predictor(champion)
    rows = base.train[np.linspace(0, len(base.train) - 1, 6000).astype(int)]
    images, targets = base.part(rows)
    embeddings = np.concatenate(
        [predictor.predict_arrays(i).embedding for i in (images, halves_.corrections[0])]
    )
    labels = np.concatenate([targets, halves_.corrections[1]])
    weights = np.concatenate([np.ones(len(targets)), np.full(len(halves_.corrections[1]), 20.0)])
    head = LogisticRegression(max_iter=300).fit(embeddings, labels, weights)
    tests = {"external": halves_.test, "base": base.part(base.test)}
    queries = {name: predictor.predict_arrays(part[0]).embedding for name, part in tests.items()}
    votes = {
        name: np.array([_vote(q, embeddings, labels) for q in found[:: 1 + len(found) // 1500]])
        for name, found in queries.items()
    }
    return {
        "linear head": {
            name: _score(head.predict(queries[name]), tests[name][1], name) for name in tests
        },
        "5-NN": {
            name: _score(votes[name], tests[name][1][:: 1 + len(queries[name]) // 1500], name)
            for name in tests
        },
    }


def _vote(query: np.ndarray, index: np.ndarray, labels: np.ndarray) -> int:
    rows, _ = nearest(query, index, 5)
    return int(np.bincount(labels[rows]).argmax())


def _score(predicted: np.ndarray, targets: np.ndarray, name: str) -> float:
    return (
        balanced_accuracy(targets, predicted)
        if name == "external"
        else float((predicted == targets).mean())
    )


def busy_week(base: Base, weights: bytes, config: TrainingConfig) -> dict[str, float]:
    """Time a week with 1,000 corrections takes: upside-down negatives of training images."""
    images, targets = base.part(spread(base, base.train, 167))
    corrections = 255 - np.ascontiguousarray(images[:1000, ::-1]), targets[:1000]
    model, seconds = weekly(base, weights, corrections, config)
    return score(model.onnx, base, corrections) | {
        "seconds": seconds,
        "n": len(corrections[1]),
    }


def none_of_these(
    base: Base, onnx: bytes, weights: bytes, images: np.ndarray, config: TrainingConfig, n: int = 20
) -> dict[str, Any]:
    """Measure what `n` "none of these" corrections teach about others of their kind."""
    model, _ = weekly(base, weights, (images[:n], np.full(n, TARGET)), config)
    others = images[n:]
    return {
        name: {
            "unknown": float(np.mean([said == "unknown" for said in verdicts(file, others)])),
            "confident": float(np.mean([said == "confident" for said in verdicts(file, others)])),
            "base": base_accuracy(file, base),
        }
        for name, file in (("before", onnx), ("after", model.onnx))
    } | {"n": len(others), "corrections": n}


def verdicts(model: bytes, images: np.ndarray) -> list[Verdict]:
    predictor = Predictor(model)
    return predictor.verdicts(predictor.predict_arrays(images))


def compare(
    base: Base,
    external: External,
    onnx: bytes,
    weights: bytes,
    config: TrainingConfig,
    *,
    seed: int,
) -> dict[str, Any]:
    """Compare ways of learning from the same 20 corrections per class, on the same test half.

    The alternatives are measured for the first two seeds, from scratch for the first; what has a
    bar for all. Ten people give them. What "screened" rows learn from went through the screening;
    the others believe everything.
    """
    parts = halves(external, 20, seed)
    config = replace(config, seed=seed)
    clean = intake.honest(parts.corrections, seed)
    bad = intake.poisoned(parts.corrections, len(base.labels), 0.2, seed)
    taken = {
        "clean": intake.accepted(clean, base, onnx),
        "poisoned": intake.accepted(bad, base, onnx),
    }

    def learned(corrections: Arrays) -> dict[str, float]:
        model, seconds = weekly(base, weights, corrections, config)
        return score(model.onnx, base, parts.test) | {"seconds": seconds}

    found = {
        "champion": score(onnx, base, parts.test),
        "weekly, screened": learned(taken["clean"]),
        "weekly, 20 % poisoned, screened": learned(taken["poisoned"]),
        "n": {
            "corrections": len(parts.corrections[1]),
            "test": len(parts.test[1]), "wrong": int(bad.wrong.sum()),
            "clean, accepted": len(taken["clean"][1]),
            "poisoned, accepted": len(taken["poisoned"][1]),
            "poisoned, wrong ones accepted": intake.wrong_among(taken["poisoned"], bad),
        },
    }  # fmt: skip
    if seed < SEEDS_OF_ALTERNATIVES:
        found |= {
            "weekly": learned(parts.corrections),
            "weekly, 20 % poisoned": learned((bad.images, bad.targets)),
            "corrections only": score(
                only_corrections(base, weights, parts.corrections, config).onnx, base, parts.test
            ),
            **frozen_heads(onnx, base, parts),
        }
    if seed == 0:
        scratch, seconds = timed(base.training_data(parts.corrections), TrainingConfig.full())
        found["from scratch"] = score(scratch.onnx, base, parts.test) | {"seconds": seconds}
    print(f"seed {seed}: {found}", flush=True)
    return found
