"""Training from arrays to a model file: the one public entry point of the learning core."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import torch
from scipy.special import softmax

from medloop.core import none_of_these
from medloop.core.data.chance import balanced_accuracy
from medloop.core.data.training_set import RARE
from medloop.core.gate.metrics import expected_calibration_error
from medloop.core.imaging.preprocess import PREPROCESSING_VERSION
from medloop.core.learn import calibrate as calibration
from medloop.core.learn.augment import STEPS, Augmentation, augment
from medloop.core.learn.config import TrainingConfig
from medloop.core.learn.export import to_onnx
from medloop.core.learn.fit import Pool, average, fit, one_core_threads
from medloop.core.learn.negatives import unknown_images
from medloop.core.learn.network import (
    INPUT_SIZE,
    Network,
    to_safetensors,
    warm_start,
    weights_sha256,
)
from medloop.core.learn.quantise import UnitRanges, activation_ranges
from medloop.core.learn.trained_model import TrainedModel
from medloop.core.prediction.model_contract import label_map_sha256
from medloop.core.prediction.predictor import Predictor
from medloop.progress import Progress, part, silent

MAX_CALIBRATED: Final = 3000  # held-out images that temperature and thresholds are fitted on
MAX_TYPICAL: Final = 1000  # images of each kind that the ranges of activations are read from
FULL_SHARE_FROM: Final = 40  # corrections; a new scanner's first twenty must be learned in one week
# Another source differs in a few ways at once, training views in many: half of each change stands
# in for the former.
SOURCE_VIEWS: Final = tuple(Augmentation(step.change, step.share / 2) for step in STEPS)


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Input of a training. Images are preprocessed uint8 [., 64, 64]; targets index `labels`."""

    labels: tuple[str, ...]
    images: np.ndarray
    targets: np.ndarray
    validation_images: np.ndarray  # held-out base groups, for calibration only
    validation_targets: np.ndarray
    correction_images: np.ndarray
    correction_targets: np.ndarray  # -1: none of these

    def __post_init__(self) -> None:
        """Refuse what cannot be trained on, with a ValueError."""
        if len(self.images) == 0:
            raise ValueError("there are no base images to train on")
        if len(self.validation_images) == 0:
            raise ValueError("there are no held-out images to fit the thresholds on")
        for images, targets, lowest in (
            (self.images, self.targets, 0),
            (self.validation_images, self.validation_targets, 0),
            (self.correction_images, self.correction_targets, none_of_these.TARGET),
        ):
            if images.dtype != np.uint8 or images.shape[1:] != (INPUT_SIZE, INPUT_SIZE):
                found = f"{images.dtype} of shape {images.shape}"
                raise ValueError(f"expected uint8 images [N, 64, 64], got {found}")
            if np.any((targets < lowest) | (targets >= len(self.labels))):
                found = f"{targets.min()}…{targets.max()}"
                raise ValueError(f"targets {found} do not fit {len(self.labels)} labels")


def train(
    data: TrainingData,
    config: TrainingConfig,
    *,
    initial_weights: bytes | None = None,
    snapshot_id: str = "",
    progress: Progress = silent,
) -> TrainedModel:
    """Train, calibrate and export. Same data, config and machine give the same weights.

    `initial_weights` are a champion's safetensors; classes it lacks start with fresh rows.
    """
    with _one_thread_per_operator():
        progress(0.0, "making unknown images")
        unknown = torch.from_numpy(unknown_images(config.n_unknown, seed=config.seed))
        progress(0.03, "training")
        network = _network(data.labels, config.seed, initial_weights)
        fitted, history = fit(
            copy.deepcopy(network),
            _pools(data, config, unknown),
            config,
            device=_device(config.device),
            progress=part(progress, 0.03, 0.95),
        )
        if initial_weights is not None and config.champion_share:
            average(fitted, network, 1 - config.champion_share)
        progress(0.96, "calibrating")
        fitted.eval()
        ranges = activation_ranges(fitted, _typical(data, unknown, config))
        calibrated, metrics = _calibrate(_logits_of(fitted, ranges, data.labels), data, config)
        onnx = _export(fitted, ranges, data.labels, calibrated, snapshot_id)
    progress(1.0, "done")
    return TrainedModel(
        onnx=onnx,
        safetensors=to_safetensors(fitted, data.labels),
        weights_sha256=weights_sha256(fitted),
        metrics=metrics | {"train_loss": history[-1]["loss"]},
        history=history,
    )


@contextmanager
def _one_thread_per_operator() -> Iterator[None]:
    """Keep operators to one thread each, and deterministic: see `fit`."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.backends.cudnn.flags(deterministic=True, benchmark=False):
            yield
    finally:
        torch.set_num_threads(threads)


def _device(name: str) -> torch.device:
    auto = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(auto if name == "auto" else name)


def gpu_name(device: str) -> str:
    """Name the GPU that a training with this setting uses, "none" without one."""
    used = device != "cpu" and torch.cuda.is_available()
    return str(torch.cuda.get_device_name()) if used else "none"


def _network(labels: tuple[str, ...], seed: int, initial_weights: bytes | None) -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(len(labels))
    if initial_weights is not None:
        warm_start(network, labels, initial_weights)
    return network


def _pools(data: TrainingData, config: TrainingConfig, unknown: torch.Tensor) -> list[Pool]:
    """Make a batch of base images, unknown ones and corrections (few of these get few places)."""
    none_row = len(data.labels)
    places = _correction_places(len(data.correction_images), config)
    base = _int64(data.targets)
    counts = base.bincount()
    rare = int(counts[counts > 0].min()) < RARE * int(counts.max())
    weights = _rarity(base) if rare else None  # or "none" outweighs a rare class
    pools = [
        Pool.of(torch.from_numpy(data.images), base, config.batch_size - places, weights),
        Pool.of(unknown, torch.full((len(unknown),), none_row), config.unknown_batch),
    ]
    if places:
        targets = _int64(data.correction_targets)
        targets = targets.where(targets != none_of_these.TARGET, none_row)
        images = torch.from_numpy(data.correction_images)
        pools.append(Pool.of(images, targets, places, _rarity(targets)))
    return pools


def _rarity(targets: torch.Tensor) -> torch.Tensor:
    """Weigh by 1/√n of each label's images, so that twenty of one matter beside two thousand."""
    return targets.bincount()[targets].double().rsqrt()


def _correction_places(n_corrections: int, config: TrainingConfig) -> int:
    """Count the places in a batch: the full share from 40 corrections on, in proportion below."""
    share = config.correction_share * min(1.0, n_corrections / FULL_SHARE_FROM)
    return max(1, round(config.batch_size * share)) if n_corrections else 0


def _int64(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.int64))


def _evenly(n: int, at_most: int) -> np.ndarray:
    return np.linspace(0, n - 1, min(at_most, n)).astype(int)


def _typical(data: TrainingData, unknown: torch.Tensor, config: TrainingConfig) -> torch.Tensor:
    """Choose training, altered and unknown images that show how strong activations become."""
    images = torch.from_numpy(data.images[_evenly(len(data.images), MAX_TYPICAL)])
    altered = augment(images, torch.Generator().manual_seed(config.seed), SOURCE_VIEWS)
    return torch.cat([images, altered, unknown[:MAX_TYPICAL]])


def _export(
    network: Network,
    ranges: Sequence[UnitRanges],
    labels: tuple[str, ...],
    calibrated: calibration.Calibration,
    snapshot_id: str,
) -> bytes:
    metadata: dict[str, Any] = {
        "labels": list(labels),
        "label_map_sha256": label_map_sha256(labels),
        "input_size": INPUT_SIZE,
        "input_mode": "L",
        **asdict(calibrated),
        "preprocessing_version": PREPROCESSING_VERSION,
        "snapshot_id": snapshot_id,
        "weights_sha256": weights_sha256(network),
    }
    return to_onnx(network, ranges, calibrated.temperature, metadata)


Logits = Callable[[np.ndarray], np.ndarray]


def _logits_of(network: Network, ranges: Sequence[UnitRanges], labels: tuple[str, ...]) -> Logits:
    """Compute logits float64 [N, C + 1] as the model file will, in 8-bit integers.

    Thresholds are fitted on what will be served.
    """
    unfitted = calibration.Calibration(1.0, 1.0, 0.0, 0.0)
    predictor = Predictor(_export(network, ranges, labels, unfitted, ""), threads=1)
    weight = network.head.weight.detach().double().numpy()
    bias = network.head.bias.detach().double().numpy()
    return lambda images: predictor.predict_arrays(images).embedding @ weight.T + bias


def _calibrate(
    logits: Logits, data: TrainingData, config: TrainingConfig
) -> tuple[calibration.Calibration, dict[str, float]]:
    rows = _evenly(len(data.validation_images), MAX_CALIBRATED)
    held_out, targets = data.validation_images[rows], np.asarray(data.validation_targets)[rows]

    def negatives() -> np.ndarray:
        return logits(unknown_images(config.n_unknown, seed=config.seed + 1))

    def view(number: int) -> np.ndarray:
        generator = torch.Generator().manual_seed(config.seed + 1 + number)
        return logits(augment(torch.from_numpy(held_out), generator, SOURCE_VIEWS).numpy())

    with one_core_threads(config.workers) as threads:
        drawn = threads.submit(negatives)  # first: it takes longest
        views = threads.map(view, range(config.calibration_views))
        known = threads.submit(logits, held_out).result()
    unknown, shifted = drawn.result(), np.stack(list(views))
    fitted = calibration.calibrate(known, shifted, targets, unknown)
    confidence = softmax(known[:, :-1] / fitted.temperature, axis=1).max(1)
    right = (predicted := known[:, :-1].argmax(1)) == targets
    metrics = {
        "validation_accuracy": float(right.mean()),
        "validation_balanced_accuracy": balanced_accuracy(targets, predicted),
        "shifted_accuracy": float((shifted[:, :, :-1].argmax(2) == targets).mean()),
        "validation_ece": expected_calibration_error(confidence, right),
        "unknown_rejected": float((calibration.ood_scores(unknown) >= fitted.ood_threshold).mean()),
    }
    return fitted, metrics | {name: float(value) for name, value in asdict(fitted).items()}
