"""The predictor: one ONNX file in, labels with verdicts out. onnxruntime and numpy, never torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import onnxruntime as ort

from medloop.core.imaging.picture import ImageInfo
from medloop.core.imaging.preprocess import preprocess
from medloop.core.prediction.tag_conflicts import contradictions

Verdict = Literal["confident", "unsure", "unknown"]
Doubt = Literal["", "colour", "tags"]
BATCH_SIZE: Final = 64  # activations of one batch stay in a core's second-level cache
OUTPUTS: Final = ("probabilities", "embedding", "ood_score", "cam")


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """What the model file says about itself."""

    labels: tuple[str, ...]
    label_map_sha256: str
    input_size: int  # pixels a side
    input_mode: Literal["L"]
    temperature: float  # already applied inside the file
    confident_threshold: float  # lowest confidence of a "confident" answer
    confident_ood_threshold: float  # highest ood_score of a "confident" answer
    ood_threshold: float  # from this ood_score on: "unknown"
    preprocessing_version: str
    snapshot_id: str
    weights_sha256: str

    @classmethod
    def parse(cls, properties: Mapping[str, str]) -> ModelMetadata:
        """Read the ONNX file's metadata_props, each value JSON.

        Raises:
            ValueError: One is missing or malformed.
        """
        try:
            values = {name: json.loads(properties[name]) for name in cls.__dataclass_fields__}
        except KeyError as error:
            raise ValueError(
                f"the model file lacks the metadata {error}: was it exported by medloop?"
            ) from error
        return cls(**values | {"labels": tuple(values["labels"])})


@dataclass(frozen=True, slots=True)
class Prediction:
    """One image's answer."""

    label: str
    confidence: float  # calibrated probability of `label`
    verdict: Verdict
    probabilities: dict[str, float]
    ood_score: float  # higher: less like anything the model knows
    embedding: np.ndarray  # float32 [D]
    cam: np.ndarray | None  # float32 [h, w]: evidence for `label` by place, in logits
    doubt: Doubt = ""  # what in the file made it "unsure", where the model by itself is confident


@dataclass(frozen=True, slots=True)
class RawOutputs:
    """The model's outputs for N images."""

    probabilities: np.ndarray  # float32 [N, C]
    embedding: np.ndarray  # float32 [N, D]
    ood_score: np.ndarray  # float32 [N]
    cam: np.ndarray  # float32 [N, C, h, w]


class Predictor:
    """A loaded model. Safe to share between threads."""

    def __init__(self, onnx: bytes, *, threads: int | None = None) -> None:
        """`threads`: cores that one call may use; None leaves it to onnxruntime (all of them)."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = 3
        self._session = ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        self.metadata = ModelMetadata.parse(self._session.get_modelmeta().custom_metadata_map)

    def predict(
        self, images: Sequence[np.ndarray], *, about: Sequence[ImageInfo] = ()
    ) -> list[Prediction]:
        """Classify grey images uint8 [H, W] of any size, in order.

        `about`: for each, what its file says (`DecodedImage.info`). The answer is "unsure" at best
        about a picture in colour, of which the model has not seen everything, and if a DICOM's tags
        contradict it.
        """
        if len(images) == 0:
            return []
        size = self.metadata.input_size
        raw = self.predict_arrays(np.stack([preprocess(image, size) for image in images]))
        about = about or [ImageInfo()] * len(images)
        return [
            _as_sure_as_may_be(self._prediction(raw, i), known)
            for i, known in zip(range(len(images)), about, strict=True)
        ]

    def predict_arrays(self, images: np.ndarray) -> RawOutputs:
        """Compute the raw outputs for preprocessed uint8 images [N, 64, 64]."""
        starts = range(0, max(len(images), 1), BATCH_SIZE)
        batches = [
            self._session.run(OUTPUTS, {"images": images[i : i + BATCH_SIZE]}) for i in starts
        ]
        return RawOutputs(*(np.concatenate(column) for column in zip(*batches, strict=True)))

    def verdicts(self, raw: RawOutputs) -> list[Verdict]:
        """Give the verdict on each image."""
        pairs = zip(raw.probabilities.max(1), raw.ood_score, strict=True)
        return [self._verdict(float(confidence), float(score)) for confidence, score in pairs]

    def _verdict(self, confidence: float, ood_score: float) -> Verdict:
        if ood_score >= self.metadata.ood_threshold:
            return "unknown"
        known = ood_score <= self.metadata.confident_ood_threshold
        return (
            "confident" if known and confidence >= self.metadata.confident_threshold else "unsure"
        )

    def _prediction(self, raw: RawOutputs, i: int) -> Prediction:
        probabilities = raw.probabilities[i].tolist()
        best = int(raw.probabilities[i].argmax())
        return Prediction(
            label=self.metadata.labels[best],
            confidence=probabilities[best],
            verdict=self._verdict(probabilities[best], float(raw.ood_score[i])),
            probabilities=dict(zip(self.metadata.labels, probabilities, strict=True)),
            ood_score=float(raw.ood_score[i]),
            embedding=raw.embedding[i],
            cam=raw.cam[i, best],
        )


def _as_sure_as_may_be(prediction: Prediction, known: ImageInfo) -> Prediction:
    if prediction.verdict != "confident":
        return prediction
    if known.in_colour:
        return replace(prediction, verdict="unsure", doubt="colour")
    if contradictions(known.technical, prediction.label):
        return replace(prediction, verdict="unsure", doubt="tags")
    return prediction
