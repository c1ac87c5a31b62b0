"""Whether a model file keeps the contract of docs/model.md, so that it may serve. Loads it as serving does."""

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
    """The predictor of a file that keeps the contract.

    Probed with a blank, a white, a noisy and two odd images: outputs of the promised shapes, finite, probabilities
    that sum to 1, and the same answer alone as in a batch.

    Raises:
        ModelError: It breaks the contract; the message says where.
    """
    try:
        predictor = Predictor(onnx, threads=threads)
    except Exception as error:  # onnxruntime has no common base for what it raises
        raise ModelError(
            f"the model file does not load ({type(error).__name__}): {_brief(error)}"
        ) from error
    _check_metadata(predictor.metadata)
    probes = _probes(predictor.metadata.input_size)
    try:
        together, alone = predictor.predict_arrays(probes), predictor.predict_arrays(probes[:1])
        predictor.predict([np.full((300, 200), 90, np.uint8)])
    except Exception as error:
        raise ModelError(
            f"the model does not answer ({type(error).__name__}): {_brief(error)}"
        ) from error
    _check_outputs(together, n_labels=len(predictor.metadata.labels))
    if not np.allclose(together.probabilities[:1], alone.probabilities, atol=TOLERANCE):
        raise ModelError("the model answers differently for an image alone and in a batch")
    return predictor


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _check_metadata(metadata: ModelMetadata) -> None:
    labels = metadata.labels
    if (
        len(labels) < 2
        or len(set(labels)) != len(labels)
        or not all(isinstance(x, str) and x for x in labels)
    ):
        raise ModelError(f"the model needs two or more different labels, it has {list(labels)!r}")
    if hashlib.sha256(json.dumps(list(labels)).encode()).hexdigest() != metadata.label_map_sha256:
        raise ModelError(
            "the model's labels are not those that it was exported with: the label map's digest differs"
        )
    if metadata.preprocessing_version not in READABLE_VERSIONS:
        raise ModelError(
            f"the model expects preprocessing version {metadata.preprocessing_version!r}, this medloop has "
            f"{' and '.join(READABLE_VERSIONS)}: use the medloop release that trained it, or train anew"
        )
    thresholds = (
        metadata.confident_threshold,
        metadata.confident_ood_threshold,
        metadata.ood_threshold,
    )
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
        "probabilities": (raw.probabilities, (N_PROBES, n_labels)),
        "embedding": (raw.embedding, (N_PROBES, None)),
        "ood_score": (raw.ood_score, (N_PROBES,)),
        "cam": (raw.cam, (N_PROBES, n_labels, None, None)),
    }
    for name, (output, shape) in shapes.items():
        fits = output.ndim == len(shape) and all(
            want in (None, has) for has, want in zip(output.shape, shape, strict=True)
        )
        if not fits:
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
