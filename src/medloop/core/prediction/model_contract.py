"""The contract of docs/model.md, that a model file must keep to serve. Loads it as serving does."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Final

import numpy as np

from medloop.core.imaging.preprocess import READABLE_VERSIONS
from medloop.core.prediction.predictor import ModelMetadata, Predictor, RawOutputs
from medloop.errors import ModelError

N_PROBES: Final = 5  # more than one batch entry, so that a fixed batch size shows
TOLERANCE: Final = 1e-3  # of a sum of probabilities, and between an image alone and in a batch


def load_checked(onnx: bytes, *, threads: int | None = None) -> Predictor:
    """Load a file that keeps the contract.

    Probed with a blank, a white, a noisy and two odd images: outputs of the promised shapes,
    finite, probabilities that sum to 1, and the same answer alone as in a batch.

    Raises:
        ModelError: It breaks the contract; the message says where.
    """
    doing = "load"
    try:
        predictor = Predictor(onnx, threads=threads)
        _check_metadata(predictor.metadata)
        doing = "answer"
        probes = _probes(predictor.metadata.input_size)
        together, alone = predictor.predict_arrays(probes), predictor.predict_arrays(probes[:1])
        predictor.predict([np.full((300, 200), 90, np.uint8)])
    except ModelError:
        raise
    except Exception as error:  # onnxruntime has no common base for what it raises
        why = " ".join(str(error).split())[:300]
        subject = "the model file" if doing == "load" else "the model"
        raise ModelError(f"{subject} does not {doing} ({type(error).__name__}): {why}") from error
    _check_outputs(together, n_labels=len(predictor.metadata.labels))
    if not np.allclose(together.probabilities[:1], alone.probabilities, atol=TOLERANCE):
        raise ModelError("the model answers differently for an image alone and in a batch")
    return predictor


def label_map_sha256(labels: tuple[str, ...]) -> str:
    """Hash the labels in order: with the same hash two models mean the same by each output."""
    return hashlib.sha256(json.dumps(list(labels)).encode()).hexdigest()


def _check_metadata(metadata: ModelMetadata) -> None:
    labels = metadata.labels
    named = all(isinstance(label, str) and label for label in labels)
    if not named or len(labels) < 2 or len(set(labels)) != len(labels):
        raise ModelError(f"the model needs two or more different labels, it has {list(labels)!r}")
    if label_map_sha256(labels) != metadata.label_map_sha256:
        raise ModelError(
            "the model's labels are not those that it was exported with: the label map's digest "
            "differs"
        )
    if metadata.preprocessing_version not in READABLE_VERSIONS:
        raise ModelError(
            f"the model expects preprocessing version {metadata.preprocessing_version!r}, this "
            f"medloop has {' and '.join(READABLE_VERSIONS)}: use the medloop release that trained "
            "it, or train anew"
        )
    names = ("confident_threshold", "confident_ood_threshold", "ood_threshold")
    thresholds = tuple(getattr(metadata, name) for name in names)
    if any(math.isnan(value) for value in thresholds):
        raise ModelError(f"the model's thresholds must be numbers, they are {thresholds}")


def _probes(size: int) -> np.ndarray:
    probes = np.zeros((N_PROBES, size, size), np.uint8)
    probes[1] = 255
    probes[2] = np.random.default_rng(0).integers(0, 256, (size, size))
    probes[3] = np.linspace(0, 255, size).astype(np.uint8)
    probes[4, size // 4 : size // 2] = 200
    return probes


def _check_outputs(raw: RawOutputs, *, n_labels: int) -> None:
    shapes = {
        "probabilities": (N_PROBES, n_labels),
        "embedding": (N_PROBES, None),
        "ood_score": (N_PROBES,),
        "cam": (N_PROBES, n_labels, None, None),
    }
    for name, shape in shapes.items():
        output = getattr(raw, name)
        pairs = zip(output.shape, shape, strict=False)
        if output.ndim != len(shape) or any(want not in (None, has) for has, want in pairs):
            raise ModelError(f"the output {name!r} has the shape {output.shape} instead of {shape}")
        if output.dtype != np.float32 or not np.isfinite(output).all():
            raise ModelError(
                f"the output {name!r} must hold finite float32 numbers, it holds {output.dtype}"
            )
    sums = raw.probabilities.sum(1)
    if raw.probabilities.min() < 0 or np.abs(sums - 1).max() > TOLERANCE:
        raise ModelError(
            f"the probabilities do not sum to 1 but to {sums.min():.3f} to {sums.max():.3f}"
        )
