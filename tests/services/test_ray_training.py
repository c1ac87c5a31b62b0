"""A training on a real Ray cluster of this machine, with two workers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medloop.core.data.training_set import Corrections, assemble
from medloop.core.learn.recipe import TrainingConfig
from medloop.core.prediction.predictor import Predictor
from medloop.jobs.train import training_data
from medloop.stores.datasets import bundled_sample
from medloop.stores.ray_training import train

pytestmark = [
    pytest.mark.services,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]  # a busy machine starts Ray slowly


def test_two_workers_train_one_model_that_serves():
    training_set = assemble(bundled_sample(), Corrections.none(), champion_labels=())
    said: list[tuple[float, str]] = []
    trained = train(
        training_data(training_set),
        replace(TrainingConfig.smoke(), steps=40, device="cpu"),
        initial_weights=None,
        snapshot_id="s1",
        workers=2,
        progress=lambda share, phrase: said.append((share, phrase)),
    )
    predictor = Predictor(trained.onnx)
    test = training_set.scored_test()
    predicted = predictor.predict_arrays(training_set.base.images[test]).probabilities.argmax(1)
    assert predictor.metadata.labels == training_set.labels
    assert predictor.metadata.snapshot_id == "s1"
    assert (
        np.mean(predicted == training_set.base_targets[test]) > 0.4
    )  # six classes; the workers learned together
    assert said
    assert [share for share, _ in said] == sorted(share for share, _ in said)
