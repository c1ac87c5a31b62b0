"""The outcome of a training. Imports no torch, so that jobs can hold one that came ready."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model file, its weights, and what is known about its making."""

    onnx: bytes
    safetensors: bytes
    weights_sha256: str
    metrics: dict[str, float]
    history: list[dict[str, float]]
