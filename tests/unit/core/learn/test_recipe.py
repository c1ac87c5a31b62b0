"""Training from arrays to a model file: contract, determinism, warm start. Quality is measured in
benchmarks/learning.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load

from medloop.core import none_of_these
from medloop.core.learn.network import saved_labels
from medloop.core.learn.recipe import (
    TrainedModel,
    TrainingConfig,
    TrainingData,
    _pools,
    train,
)
from medloop.core.prediction.predictor import Predictor

LABELS = ("bar", "disc", "ring")


def shapes(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Three classes that a network learns in seconds: bars, discs and rings at random places."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 3, n)
    y, x = np.mgrid[:64, :64]
    images = np.empty((n, 64, 64), np.uint8)
    for i, target in enumerate(targets):
        cx, cy = rng.uniform(26, 38, 2)
        radius = np.hypot(x - cx, y - cy)
        mask = (np.abs(x - cx) < 5, radius < 14, np.abs(radius - 18) < 4)[target]
        images[i] = np.clip(np.where(mask, 190, 40) + rng.normal(0, 8, (64, 64)), 0, 255)
    return images, targets


def training_data(labels: tuple[str, ...] = LABELS, n_corrections: int = 0) -> TrainingData:
    images, targets = shapes(400, 0)
    held_out, held_out_targets = shapes(80, 1)
    corrections, correction_targets = shapes(n_corrections, 2)
    return TrainingData(
        labels,
        images,
        targets,
        held_out,
        held_out_targets,
        corrections,
        correction_targets,
    )


@pytest.fixture(scope="module")
def shares() -> list[float]:
    """The progress that the training of `trained` told."""
    return []


@pytest.fixture(scope="module")
def trained(shares: list[float]) -> TrainedModel:
    return train(
        training_data(),
        TrainingConfig.smoke(),
        snapshot_id="s-1",
        progress=lambda share, phrase: shares.append(share),
    )


def test_a_trained_model_loads_in_the_predictor_and_says_what_it_is(trained: TrainedModel) -> None:
    metadata = Predictor(trained.onnx).metadata
    assert metadata.labels == LABELS
    assert (metadata.input_size, metadata.input_mode, metadata.snapshot_id) == (64, "L", "s-1")
    assert metadata.weights_sha256 == trained.weights_sha256
    assert 0.5 <= metadata.confident_threshold <= 1.0
    assert metadata.temperature > 0


def test_the_same_seed_gives_the_same_weights_and_another_seed_does_not(
    trained: TrainedModel,
) -> None:
    again = train(training_data(), TrainingConfig.smoke(), snapshot_id="s-1")
    other = train(training_data(), TrainingConfig.smoke(seed=1), snapshot_id="s-1")
    assert again.weights_sha256 == trained.weights_sha256
    assert again.onnx == trained.onnx
    assert again.safetensors == trained.safetensors
    assert other.weights_sha256 != trained.weights_sha256


def test_a_warm_start_takes_corrections_none_of_these_and_a_new_class(
    trained: TrainedModel,
) -> None:
    data = training_data(n_corrections=12)
    targets = data.correction_targets.copy()
    targets[:3], targets[3:6] = none_of_these.TARGET, 3
    data = replace(data, labels=("bar", "disc", "ring", "star"), correction_targets=targets)
    warm = train(data, TrainingConfig.smoke(), initial_weights=trained.safetensors)
    assert saved_labels(warm.safetensors) == ("bar", "disc", "ring", "star")
    assert Predictor(warm.onnx).predict_arrays(data.images[:2]).probabilities.shape == (2, 4)


def test_a_week_keeps_the_share_of_the_champion_that_its_settings_name(
    trained: TrainedModel,
) -> None:
    """Weights and statistics of both, averaged; counters and the share 0 leave the week's as they
    are.
    """
    data, config = training_data(n_corrections=12), replace(TrainingConfig.smoke(), steps=3)
    week, quarter = (
        load(
            train(
                data, replace(config, champion_share=share), initial_weights=trained.safetensors
            ).safetensors
        )
        for share in (0.0, 0.25)
    )
    for name, champion in load(trained.safetensors).items():
        if champion.is_floating_point():
            torch.testing.assert_close(quarter[name], 0.75 * week[name] + 0.25 * champion)
    assert not torch.equal(quarter["head.weight"], week["head.weight"])
    first = train(data, replace(config, champion_share=0.25))
    assert first.weights_sha256 == train(data, config).weights_sha256  # nothing to keep


def test_progress_runs_from_nothing_to_done(trained: TrainedModel, shares: list[float]) -> None:
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert trained.history[-1]["loss"] < trained.history[0]["loss"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"images": np.empty((0, 64, 64), np.uint8)}, "no base images"),
        ({"validation_images": np.empty((0, 64, 64), np.uint8)}, "no held-out images"),
        ({"images": np.zeros((400, 32, 32), np.uint8)}, "64, 64"),
        ({"targets": np.full(400, 3)}, "do not fit"),
    ],
)
def test_data_that_cannot_be_trained_on_is_refused_in_words(
    change: dict[str, np.ndarray], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        train(replace(training_data(), **change), TrainingConfig.smoke())


@pytest.mark.slow
def test_a_short_training_tells_the_shapes_apart_and_rejects_noise() -> None:
    model = train(
        training_data(),
        replace(TrainingConfig.smoke(), steps=250, unknown_batch=32, n_unknown=400, averaging=0.97),
    )
    predictor = Predictor(model.onnx)
    images, targets = shapes(200, 3)
    raw = predictor.predict_arrays(images)
    noise = np.random.default_rng(0).integers(0, 256, (50, 64, 64), dtype=np.uint8)
    assert (raw.probabilities.argmax(1) == targets).mean() > 0.95
    assert "confident" not in predictor.verdicts(predictor.predict_arrays(noise))


def test_twenty_of_one_label_are_not_drowned_by_two_thousand_of_another() -> None:
    targets = np.concatenate(
        [np.zeros(2000, np.int64), np.full(20, 1), np.full(20, none_of_these.TARGET)]
    )
    data = replace(
        training_data(),
        correction_images=np.zeros((2040, 64, 64), np.uint8),
        correction_targets=targets,
    )
    pool = _pools(data, TrainingConfig.weekly(), torch.zeros((1, 64, 64), dtype=torch.uint8))[2]
    _, drawn = pool.draw(20_000, torch.Generator().manual_seed(0))
    shares = [(drawn == row).double().mean().item() for row in (0, 1, len(LABELS))]
    assert shares == pytest.approx([1 / 1.2, 0.1 / 1.2, 0.1 / 1.2], abs=0.01), (
        "1 to 10 instead of 1 to 100"
    )


@pytest.mark.parametrize(("n_rare", "share"), [(24, 1 / 6), (300, 1 / 3)])
def test_a_rare_base_class_is_drawn_more_often_and_others_as_they_come(
    n_rare: int, share: float
) -> None:
    """600 beside 24 are drawn 5 to 1, not 25 to 1: the row of "none" would outweigh the few."""
    images = np.zeros((600 + n_rare, 64, 64), np.uint8)
    targets = np.repeat([0, 1], [600, n_rare])
    data = replace(training_data(), images=images, targets=targets)
    pool = _pools(data, TrainingConfig.sample(), torch.zeros((1, 64, 64), dtype=torch.uint8))[0]
    _, drawn = pool.draw(20_000, torch.Generator().manual_seed(0))
    assert (drawn == 1).double().mean().item() == pytest.approx(share, abs=0.01)
