"""A run's record of its training: recipe, uses of corrections, golden answers, report."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from medloop.core.data.splits import evenly
from medloop.core.data.training_set import TrainingSet, data_key, run_key, use_counts
from medloop.core.gate.model_card import Origin, model_card
from medloop.core.gate.report import GateReport
from medloop.errors import NotFoundError, StoreError
from medloop.jobs.context import Context
from medloop.stores.registry import CARD_FILE as CARD_FILE
from medloop.stores.registry import REPORT_FILE, WEIGHTS_FILE, ModelVersion
from medloop.stores.training_run import DataInput, TrainingRun
from medloop.stores.version_tags import VersionTags

if TYPE_CHECKING:
    from medloop.core.learn.trained_model import TrainedModel

Engine = Literal["local", "ray"]

RECIPE_FILE: Final = "training.json"
ORIGIN_FILE: Final = "origin.json"
ENVIRONMENT_FILE: Final = "environment.json"
USES_FILE: Final = "corrections.json.gz"
GOLDEN_FILE: Final = "golden.npz"
N_GOLDEN: Final = 16  # images whose answers are recorded at training


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a training depends on."""

    snapshot_id: str  # "" for the base data alone
    base_id: str
    parent_version: str | None  # whose weights it starts from
    parent_weights_sha256: str
    config: Mapping[str, Any]
    labels: tuple[str, ...]
    kept_out: tuple[tuple[str, str], ...] = ()  # acceptance sets: name and id
    engine: Engine = "local"  # no part of the keys: it is not what was learned from

    @property
    def data_key(self) -> str:
        """The same for every training on this data in this way, whatever weights it starts from."""
        kept_out = [set_id for _, set_id in self.kept_out]
        return data_key(
            snapshot_id=self.snapshot_id,
            base_id=self.base_id,
            kept_out=kept_out,
            config=self.config,
        )

    @property
    def run_key(self) -> str:
        """The same for the same training."""
        return run_key(self.data_key, parent_weights_sha256=self.parent_weights_sha256)


@dataclass(frozen=True, slots=True)
class Making:
    """A finished training, and how it was done."""

    trained: TrainedModel
    seconds: float
    environment: Mapping[str, str]  # see `jobs.training_environment`
    base_images: int  # trained on


def read_recipe(context: Context, version: ModelVersion) -> Recipe:
    """Read what a version was trained on.

    Raises:
        NotFoundError: Its run holds no record of it.
        StoreError: The record is none of this medloop's.
    """
    try:
        body = json.loads(context.registry.attachment(version.run_id, RECIPE_FILE))
        kept_out = tuple((name, set_id) for name, set_id in body["kept_out"])
        return Recipe(**{**body, "labels": tuple(body["labels"]), "kept_out": kept_out})
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(
            f"{RECIPE_FILE} of version {version.version} can't be read: {error!r}"
        ) from error


def read_origin(context: Context, version: ModelVersion) -> Origin:
    """Read what the model card says of a version's making."""
    body = json.loads(context.registry.attachment(version.run_id, ORIGIN_FILE))
    return Origin(**{**body, "labels": tuple(body["labels"])})


def read_environment(context: Context, version: ModelVersion) -> dict[str, str] | None:
    """Read with what a version was trained (`jobs.training_environment`); None if unrecorded."""
    try:
        body: dict[str, str] = json.loads(
            context.registry.attachment(version.run_id, ENVIRONMENT_FILE)
        )
    except NotFoundError:
        return None
    return body


def read_uses(context: Context, version: ModelVersion) -> list[tuple[str, str | None, str]]:
    """Read image hash, label and use of each correction that a training knew."""
    rows = json.loads(gzip.decompress(context.registry.attachment(version.run_id, USES_FILE)))
    return [(sha256, label, use) for sha256, label, use in rows]


def read_golden(context: Context, version: ModelVersion) -> tuple[np.ndarray, np.ndarray]:
    """Read images [n, 64, 64] and the probabilities [n, C] recorded for them at training."""
    with np.load(
        io.BytesIO(context.registry.attachment(version.run_id, GOLDEN_FILE)), allow_pickle=False
    ) as arrays:
        return arrays["images"], arrays["probabilities"]


def recorded_report(context: Context, version: ModelVersion) -> GateReport | None:
    """Read the report of a version's last evaluation; None before the first."""
    try:
        return GateReport.from_json(context.registry.attachment(version.run_id, REPORT_FILE))
    except NotFoundError:
        return None


def training_run(
    context: Context,
    training_set: TrainingSet,
    recipe: Recipe,
    making: Making,
    *,
    token: int,
) -> TrainingRun:
    """Gather all that the registry keeps of a training; `token` is that of its lease."""
    trained = making.trained
    origin = _origin(context, training_set, recipe, making)
    tags = _tags(recipe, origin, token)
    counts = origin.corrections.items()
    used = {f"corrections/{use.replace(' ', '_')}": float(count) for use, count in counts}
    return TrainingRun(
        name=f"{'retrain' if recipe.snapshot_id else 'base'} {recipe.run_key[:8]}",
        onnx=trained.onnx,
        params={
            **recipe.config,
            "base_id": recipe.base_id,
            "snapshot_id": recipe.snapshot_id,
            "parent_version": recipe.parent_version or "none",
        },
        metrics={**trained.metrics, "seconds": making.seconds, **used},
        tags=tags,
        inputs=_inputs(context, training_set, recipe, making.base_images),
        files={
            **_files(recipe, origin, making.environment),
            WEIGHTS_FILE: trained.safetensors,
            USES_FILE: _uses(training_set),
            GOLDEN_FILE: _golden(training_set, trained.onnx),
        },
        history=trained.history,
    )


def _files(recipe: Recipe, origin: Origin, environment: Mapping[str, str]) -> dict[str, bytes]:
    """Write down what was asked for, where it was done, and the model card."""
    return {
        RECIPE_FILE: json.dumps(asdict(recipe), indent=1, sort_keys=True).encode(),
        ORIGIN_FILE: json.dumps(asdict(origin), sort_keys=True).encode(),
        ENVIRONMENT_FILE: json.dumps(environment, indent=1).encode(),
        CARD_FILE: model_card(origin).encode(),
    }


def _tags(recipe: Recipe, origin: Origin, token: int) -> VersionTags:
    return VersionTags(
        run_key=recipe.run_key,
        data_key=recipe.data_key,
        snapshot_id=recipe.snapshot_id,
        base_id=recipe.base_id,
        parent_version=recipe.parent_version or "",
        weights_sha256=origin.weights_sha256,
        labels=recipe.labels,
        corrections=origin.corrections.get("trained", 0),
        training_fence=token,
    )


def _origin(context: Context, training_set: TrainingSet, recipe: Recipe, making: Making) -> Origin:
    return Origin(
        model=context.registry.model,
        labels=recipe.labels,
        base_id=recipe.base_id,
        base_images=making.base_images,
        snapshot_id=recipe.snapshot_id,
        corrections=use_counts(training_set),
        parent_version=recipe.parent_version,
        weights_sha256=making.trained.weights_sha256,
        config=recipe.config,
        seconds=making.seconds,
    )


def _inputs(
    context: Context, training_set: TrainingSet, recipe: Recipe, base_images: int
) -> list[DataInput]:
    bucket, base_id = f"s3://{context.settings.s3_bucket}", recipe.base_id
    profile = json.dumps({"trained on": base_images, "labels": list(recipe.labels)})
    inputs = [DataInput("base", base_id, f"{bucket}/datasets/{base_id}", profile=profile)]
    if recipe.snapshot_id:
        uri = f"{bucket}/snapshots/{recipe.snapshot_id}"
        used = json.dumps(use_counts(training_set))
        inputs.append(DataInput("corrections", recipe.snapshot_id, uri, profile=used))
    return inputs


def _uses(training_set: TrainingSet) -> bytes:
    """Pack [[image hash, label, use], …], the same bytes for the same rows."""
    corrections = training_set.corrections
    rows = zip(corrections.image_sha256, corrections.labels, training_set.uses, strict=True)
    return gzip.compress(json.dumps([list(row) for row in rows]).encode(), mtime=0)


def _golden(training_set: TrainingSet, onnx: bytes) -> bytes:
    """Pack a few held-out images and what the model says of them right after the training."""
    from medloop.core.prediction.predictor import Predictor

    images = training_set.base.images[evenly(training_set.split.validation, N_GOLDEN)]
    probabilities = Predictor(onnx).predict_arrays(images).probabilities
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, images=images, probabilities=probabilities)
    return buffer.getvalue()
