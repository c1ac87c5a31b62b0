"""The first champion, which comes with the package: model file, weights, and their record."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

from medloop.core.learn.trained_model import TrainedModel
from medloop.errors import ModelError

SHIPPED: Final = files("medloop") / "data" / "first-model"
MODEL, WEIGHTS, RECORD = "model.onnx", "model.safetensors", "record.json"


@dataclass(frozen=True, slots=True)
class ShippedRecord:
    """The record of the training of the model that comes with the package."""

    labels: tuple[str, ...]
    base_id: str
    base_images: int  # trained on
    config: Mapping[str, Any]
    metrics: dict[str, float]
    history: list[dict[str, float]]
    environment: Mapping[str, str]
    seconds: float
    weights_sha256: str
    onnx_sha256: str
    safetensors_sha256: str
    commit: str  # of the code that trained it
    licence: str  # of the images that it learned from


@dataclass(frozen=True, slots=True)
class ShippedModel:
    """The model that comes with the package, and its record."""

    trained: TrainedModel
    record: ShippedRecord


def shipped_model(folder: Traversable = SHIPPED) -> ShippedModel:
    """Read the model that comes with the package.

    Raises:
        ModelError: A file is not the one that was recorded.
    """
    body = json.loads((folder / RECORD).read_text())
    record = ShippedRecord(**{**body, "labels": tuple(body["labels"])})
    onnx, weights = (folder / MODEL).read_bytes(), (folder / WEIGHTS).read_bytes()
    recorded = (record.onnx_sha256, record.safetensors_sha256)
    if tuple(hashlib.sha256(data).hexdigest() for data in (onnx, weights)) != recorded:
        raise ModelError(f"{folder} of the package is damaged: install medloop again")
    trained = TrainedModel(onnx, weights, record.weights_sha256, record.metrics, record.history)
    return ShippedModel(trained, record)
