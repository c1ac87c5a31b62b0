"""The model that comes with the package: whole, small, and good at the sample's test groups."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from medloop.core.data.datasets import scored
from medloop.core.learn.config import TrainingConfig
from medloop.core.prediction.model_contract import load_checked
from medloop.errors import ModelError
from medloop.stores.datasets import FULL_SET, bundled_sample
from medloop.stores.shipped_model import MODEL, SHIPPED, WEIGHTS, shipped_model

MOST_BYTES = 2**20


def test_it_answers_the_samples_test_groups_which_it_never_saw() -> None:
    shipped, sample = shipped_model(), bundled_sample()
    predictor = load_checked(shipped.trained.onnx)
    assert predictor.metadata.labels == shipped.record.labels == sample.labels
    test = sample.split().test
    test = test[scored(sample.images[test])]
    raw = predictor.predict_arrays(sample.images[test])
    right = raw.probabilities.argmax(1) == sample.targets[test]
    assert right.mean() >= 0.99
    confident = np.array(predictor.verdicts(raw)) == "confident"
    assert confident.mean() >= 0.9
    assert right[confident].mean() >= 0.99


def test_it_is_small_and_its_record_names_its_data_recipe_and_licence() -> None:
    shipped = shipped_model()
    record, trained = shipped.record, shipped.trained
    assert len(trained.onnx) + len(trained.safetensors) <= MOST_BYTES
    assert record.base_id == FULL_SET
    assert TrainingConfig(**record.config) == TrainingConfig.full()
    assert load_checked(trained.onnx).metadata.weights_sha256 == record.weights_sha256
    assert "CC BY-SA 4.0" in record.licence
    assert {"medloop", "torch", "processor"} <= set(record.environment)
    assert record.commit
    assert trained.metrics["validation_accuracy"] > 0.99


@pytest.mark.parametrize("name", [MODEL, WEIGHTS])
def test_a_damaged_file_is_refused(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "first-model"
    shutil.copytree(str(SHIPPED), folder)
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ModelError, match="install medloop again"):
        shipped_model(folder)
