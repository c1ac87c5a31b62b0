"""Training from arrays to a model file: the one public entry point of the learning core."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import torch

from medloop.core import none_of_these
from medloop.core.imaging.preprocess import PREPROCESSING_VERSION
from medloop.core.learn import calibrate as calibration
from medloop.core.learn.augment import STEPS, Augmentation, augment
from medloop.core.learn.export import label_map_sha256, to_onnx
from medloop.core.learn.fit import Pool, Schedule, average, fit
from medloop.core.learn.negatives import unknown_images
from medloop.core.learn.network import (
    INPUT_SIZE,
    Network,
    to_safetensors,
    warm_start,
    weights_sha256,
)
from medloop.core.learn.quantise import UnitRanges, activation_ranges
from medloop.core.prediction.predictor import Predictor
from medloop.progress import Progress, part, silent

CALIBRATED: Final = 3000  # most held-out images that temperature and thresholds are fitted on
TYPICAL: Final = 1000  # most images of each kind that the ranges of activations are read from
FULL_SHARE_FROM: Final = 40  # corrections; a new scanner's first twenty must be learned in one week
# Another source differs in a few ways at once, training views in many: half of each change stands in for the former.
SOURCE_VIEWS: Final = tuple(Augmentation(step.change, step.share / 2) for step in STEPS)


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What to learn from. Images are preprocessed uint8 [., 64, 64]; targets index `labels`."""

    labels: tuple[str, ...]
    images: np.ndarray
    targets: np.ndarray
    groups: np.ndarray  # near-duplicate or examination group of each base image
    validation_images: np.ndarray  # held-out base groups, for calibration only
    validation_targets: np.ndarray
    correction_images: np.ndarray
    correction_targets: np.ndarray  # -1: none of these


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How to learn. Fixed steps, never a clock: the same seed must give the same weights."""

    seed: int = 0
    steps: int = 1400  # optimiser steps
    batch_size: int = 186  # base images and corrections in a batch
    unknown_batch: int = 46  # unknown images in a batch, on top
    correction_share: float = 0.25  # most of the batch that corrections may take
    learning_rate: float = 4e-3  # peak of the one cycle
    weight_decay: float = 0.05
    warm_up: float = 0.1  # share of the steps with a rising learning rate
    averaging: float = 0.99  # decay of the averaged weights
    champion_share: float = (
        0.0  # of a warm start's first weights in the result (Wortsman et al. 2022, WiSE-FT)
    )
    unaltered_at_first: float = (
        0.2  # share of each batch that is not augmented, in the first half of the steps
    )
    unaltered: float = 0.55  # the same in the second half
    trimmed: float = 0.1  # share of the augmented views that the loss leaves out as mislabelled
    n_unknown: int = 3000  # procedural unknown images to train on, and as many to fit thresholds on
    calibration_views: int = 4  # altered copies of each held-out image to fit thresholds on
    workers: int = (
        2  # threads that share each batch; part of the recipe, as the weights depend on it
    )
    device: str = "auto"  # a torch device, or "auto": a GPU where there is one

    @classmethod
    def full(cls, seed: int = 0) -> TrainingConfig:
        """The full data set, from nothing: about three minutes on 2 cores (benchmarks/RESULTS.md)."""
        return cls(seed=seed)

    @classmethod
    def sample(cls, seed: int = 0) -> TrainingConfig:
        """The bundled sample of 6,000 images, from nothing: at most 60 s on 2 cores."""
        return cls(seed=seed, steps=260, n_unknown=1000, unaltered_at_first=0.15, unaltered=0.15)

    @classmethod
    def weekly(cls, seed: int = 0) -> TrainingConfig:
        """From the champion's weights, with corrections: at most 120 s on 2 cores."""
        return cls(
            seed=seed,
            steps=400,
            learning_rate=5e-4,
            warm_up=0.2,
            n_unknown=1500,
            unaltered_at_first=0.5,
            unaltered=0.6,
            champion_share=0.15,
        )

    @classmethod
    def smoke(cls, seed: int = 0) -> TrainingConfig:
        """Two seconds, for tests of the plumbing: learns little."""
        return cls(seed=seed, steps=20, batch_size=64, unknown_batch=8, n_unknown=40, averaging=0.8)


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model file, its weights, and what is known about its making."""

    onnx: bytes
    safetensors: bytes
    weights_sha256: str
    metrics: dict[str, float]
    history: list[dict[str, float]]
    seconds: float


def train(
    data: TrainingData,
    config: TrainingConfig,
    *,
    initial_weights: bytes | None = None,
    snapshot_id: str = "",
    progress: Progress = silent,
) -> TrainedModel:
    """Train, calibrate and export.

    `initial_weights` are a champion's safetensors; classes it lacks start with fresh rows. `progress` gets the done
    share (0…1) and a phrase. Same data, config and machine give the same weights.
    """
    started = time.perf_counter()
    with _one_thread_an_operator(), torch.backends.cudnn.flags(deterministic=True, benchmark=False):
        trained = _train(data, config, initial_weights, snapshot_id, progress)
    return replace(trained, seconds=time.perf_counter() - started)


@contextmanager
def _one_thread_an_operator() -> Iterator[None]:
    """See `fit`: threads inside operators stall each other on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _train(
    data: TrainingData,
    config: TrainingConfig,
    initial_weights: bytes | None,
    snapshot_id: str,
    progress: Progress,
) -> TrainedModel:
    _check(data)
    device = _device(config.device)
    network = _network(data.labels, config.seed, initial_weights)
    first = copy.deepcopy(network)
    progress(0.0, "making unknown images")
    unknown = torch.from_numpy(unknown_images(config.n_unknown, seed=config.seed))
    progress(0.03, "training")
    fitted, history = fit(
        network,
        _pools(data, config, unknown),
        _schedule(config),
        device=device,
        progress=part(progress, 0.03, 0.95),
    )
    if initial_weights is not None and config.champion_share:
        average(fitted, first, 1 - config.champion_share)
    progress(0.96, "calibrating")
    fitted.eval()
    ranges = activation_ranges(fitted, _typical(data, unknown, config))
    served = _Served(fitted, ranges, data.labels)
    calibrated, metrics = _calibrate(served, data, config)
    onnx = to_onnx(
        fitted,
        ranges,
        calibrated.temperature,
        _metadata(fitted, data.labels, calibrated, snapshot_id),
    )
    progress(1.0, "done")
    return TrainedModel(
        onnx=onnx,
        safetensors=to_safetensors(fitted, data.labels),
        weights_sha256=weights_sha256(fitted),
        metrics=metrics | {"train_loss": history[-1]["loss"]},
        history=history,
        seconds=0.0,
    )


def _check(data: TrainingData) -> None:
    if len(data.images) == 0:
        raise ValueError("there are no base images to train on")
    if len(data.validation_images) == 0:
        raise ValueError("there are no held-out images to fit the thresholds on")
    for images in (data.images, data.validation_images, data.correction_images):
        if len(images) and (
            images.dtype != np.uint8 or images.shape[1:] != (INPUT_SIZE, INPUT_SIZE)
        ):
            raise ValueError(
                f"expected uint8 images [N, 64, 64], got {images.dtype} of shape {images.shape}"
            )
    for targets, lowest in (
        (data.targets, 0),
        (data.validation_targets, 0),
        (data.correction_targets, none_of_these.TARGET),
    ):
        if len(targets) and not (lowest <= targets.min() and targets.max() < len(data.labels)):
            raise ValueError(
                f"targets {targets.min()}…{targets.max()} do not fit {len(data.labels)} labels"
            )


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def _network(labels: tuple[str, ...], seed: int, initial_weights: bytes | None) -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(len(labels))
    if initial_weights is not None:
        warm_start(network, labels, initial_weights)
    return network


def _schedule(config: TrainingConfig) -> Schedule:
    return Schedule(
        steps=config.steps,
        peak_learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        warm_up=config.warm_up,
        averaging=config.averaging,
        unaltered_at_first=config.unaltered_at_first,
        unaltered=config.unaltered,
        trimmed=config.trimmed,
        workers=config.workers,
        seed=config.seed,
    )


def _pools(data: TrainingData, config: TrainingConfig, unknown: torch.Tensor) -> list[Pool]:
    """What each batch is made of: base, unknown images, corrections (few of them get few places)."""
    none_row = len(data.labels)
    places = _correction_places(len(data.correction_images), config)
    pools = [
        Pool.of(torch.from_numpy(data.images), _int64(data.targets), config.batch_size - places),
        Pool.of(unknown, torch.full((len(unknown),), none_row), config.unknown_batch),
    ]
    if places:
        targets = _int64(data.correction_targets)
        targets = targets.where(targets >= 0, none_row)
        pools.append(
            Pool.of(torch.from_numpy(data.correction_images), targets, places, _rarity(targets))
        )
    return pools


def _rarity(targets: torch.Tensor) -> torch.Tensor:
    """A chance of being drawn that lets twenty of one label matter beside two thousand of others: 1/√(their number)."""
    return targets.bincount()[targets].double().rsqrt()


def _correction_places(n_corrections: int, config: TrainingConfig) -> int:
    """Places in a batch: the full share from 40 corrections on, in proportion below, at least one if there are any."""
    full = config.batch_size * config.correction_share
    return (
        0 if n_corrections == 0 else max(1, round(full * min(1.0, n_corrections / FULL_SHARE_FROM)))
    )


def _int64(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.int64))


def _typical(data: TrainingData, unknown: torch.Tensor, config: TrainingConfig) -> torch.Tensor:
    """Images that show how strong activations become: training images, altered copies of them, unknown ones."""
    rows = np.linspace(0, len(data.images) - 1, min(TYPICAL, len(data.images))).astype(int)
    images = torch.from_numpy(data.images[rows])
    altered = augment(images, torch.Generator().manual_seed(config.seed), SOURCE_VIEWS)
    return torch.cat([images, altered, unknown[:TYPICAL]])


class _Served:
    """The network as the model file computes it, in 8-bit integers: thresholds are fitted on what will be served."""

    def __init__(
        self, network: Network, ranges: Sequence[UnitRanges], labels: tuple[str, ...]
    ) -> None:
        unfitted = calibration.Calibration(1.0, 1.0, 0.0, 0.0)
        self._predictor = Predictor(
            to_onnx(
                network, ranges, unfitted.temperature, _metadata(network, labels, unfitted, "")
            ),
            threads=1,
        )
        self._weight = network.head.weight.detach().double().numpy()
        self._bias = network.head.bias.detach().double().numpy()

    def logits(self, images: np.ndarray) -> np.ndarray:
        """float64 [N, C + 1] for uint8 images [N, 64, 64]."""
        return np.asarray(
            self._predictor.predict_arrays(images).embedding @ self._weight.T + self._bias
        )


def _calibrate(
    served: _Served, data: TrainingData, config: TrainingConfig
) -> tuple[calibration.Calibration, dict[str, float]]:
    rows = np.linspace(
        0, len(data.validation_images) - 1, min(CALIBRATED, len(data.validation_images))
    ).astype(int)
    held_out, targets = data.validation_images[rows], np.asarray(data.validation_targets)[rows]

    def negatives() -> np.ndarray:
        return served.logits(unknown_images(config.n_unknown, seed=config.seed + 1))

    def view(number: int) -> np.ndarray:
        generator = torch.Generator().manual_seed(config.seed + 1 + number)
        return served.logits(augment(torch.from_numpy(held_out), generator, SOURCE_VIEWS).numpy())

    with ThreadPoolExecutor(
        config.workers, initializer=torch.set_num_threads, initargs=(1,)
    ) as threads:
        drawn = threads.submit(negatives)  # first: it takes longest
        views = threads.map(view, range(config.calibration_views))
        known = threads.submit(served.logits, held_out).result()
    unknown, shifted = drawn.result(), np.stack(list(views))
    fitted = calibration.calibrate(known, shifted, targets, unknown)
    probabilities = calibration.softmax(known[:, :-1] / fitted.temperature)
    metrics = {
        "validation_accuracy": float((known[:, :-1].argmax(1) == targets).mean()),
        "shifted_accuracy": float((shifted[:, :, :-1].argmax(2) == targets).mean()),
        "validation_ece": calibration.expected_calibration_error(probabilities, targets),
        "unknown_rejected": float((calibration.ood_scores(unknown) >= fitted.ood_threshold).mean()),
    }
    return fitted, metrics | {name: float(value) for name, value in asdict(fitted).items()}


def _metadata(
    network: Network, labels: tuple[str, ...], fitted: calibration.Calibration, snapshot_id: str
) -> dict[str, Any]:
    return {
        "labels": list(labels),
        "label_map_sha256": label_map_sha256(labels),
        "input_size": INPUT_SIZE,
        "input_mode": "L",
        **asdict(fitted),
        "preprocessing_version": PREPROCESSING_VERSION,
        "snapshot_id": snapshot_id,
        "weights_sha256": weights_sha256(network),
    }
