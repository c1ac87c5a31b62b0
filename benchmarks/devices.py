"""Check that a GPU learns the same as the processor.

    python -m benchmarks.devices [--devices cuda cpu] [--preset full]

Trains on the bundled sample, twice per device with the same seed. Compares weights, scores on the
sample's test images, and answers between devices; fails if they differ beyond the tolerance. Prints
a line as each training ends. Needs the repository, torch, onnx, onnxruntime, safetensors and
Pillow, but no service and no network.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image

from medloop.core.data.splits import split
from medloop.core.learn.recipe import TrainingConfig, TrainingData, train
from medloop.core.learn.trained_model import TrainedModel
from medloop.core.prediction.predictor import Predictor, RawOutputs

SAMPLE: Final = Path(__file__).parents[1] / "src" / "medloop" / "data" / "medical-mnist-sample.zip"
SAME_LABEL: Final = 0.999  # of the test images
PROBABILITY_APART: Final = 0.05  # in 99 of 100 of them
PRESETS: Final = {"sample": TrainingConfig.sample, "full": TrainingConfig.full}


def main() -> None:
    arguments = _arguments()
    data, images, targets = _sample()
    config = replace(
        PRESETS[arguments.preset](0), **({"steps": arguments.steps} if arguments.steps else {})
    )
    first: dict[str, RawOutputs] = {}
    for device in arguments.devices:
        hashes = set()
        for _ in range(arguments.repeats):
            started = time.perf_counter()
            model = train(data, replace(config, device=device))
            seconds = time.perf_counter() - started
            hashes.add(model.weights_sha256)
            raw = Predictor(model.onnx).predict_arrays(images)
            first.setdefault(device, raw)
            _say(
                device=_named(device),
                steps=config.steps,
                same_weights=len(hashes) == 1,
                seconds=round(seconds, 1),
                **_scores(model, raw, targets),
            )
    one, *others = first
    apart = {other: _apart(first[one], first[other]) for other in others}
    for other, found in apart.items():
        _say(compared=f"{one} with {other}", **found)
    if any(
        found["same_label"] < SAME_LABEL or found["probability_apart_p99"] > PROBABILITY_APART
        for found in apart.values()
    ):
        raise SystemExit("the devices' models differ by more than the tolerance")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.devices", description=__doc__)
    parser.add_argument(
        "--devices", nargs="+", default=["cuda", "cpu"] if torch.cuda.is_available() else ["cpu"]
    )
    parser.add_argument(
        "--preset",
        default="sample",
        choices=sorted(PRESETS),
        help="whose recipe; the data is the sample",
    )
    parser.add_argument("--steps", type=int, help="instead of the preset's")
    parser.add_argument(
        "--repeats",
        type=int,
        default=2,
        help="trainings a device, to see whether they are the same",
    )
    return parser.parse_args()


def _sample() -> tuple[TrainingData, np.ndarray, np.ndarray]:
    """Give the training data, and test images with their classes."""
    with zipfile.ZipFile(SAMPLE) as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open("groups.csv"))))
        images = np.stack(
            [np.asarray(Image.open(archive.open(row["file"])).convert("L")) for row in rows]
        )
    classes = [row["file"].split("/")[0] for row in rows]
    labels = tuple(sorted(set(classes)))
    targets, groups = (
        np.array([labels.index(c) for c in classes]),
        np.array([int(row["group"]) for row in rows]),
    )
    parts = split(targets, groups)
    a, b = parts.train, parts.validation
    none = np.zeros((0, *images.shape[1:]), np.uint8), np.zeros(0, np.int64)
    data = TrainingData(labels, images[a], targets[a], images[b], targets[b], *none)
    return data, images[parts.test], targets[parts.test]


def _scores(model: TrainedModel, raw: RawOutputs, targets: np.ndarray) -> dict[str, Any]:
    return {
        "torch": torch.__version__,
        "accuracy": float((raw.probabilities.argmax(1) == targets).mean()),
        "shifted_accuracy": model.metrics[
            "shifted_accuracy"
        ],  # of altered views of held-out images
        "unknown_rejected": model.metrics["unknown_rejected"],
        "n": len(targets),
    }


def _apart(one: RawOutputs, other: RawOutputs) -> dict[str, float]:
    apart = np.abs(one.probabilities - other.probabilities).max(1)
    return {
        "same_label": float((one.probabilities.argmax(1) == other.probabilities.argmax(1)).mean()),
        "probability_apart_p50": float(np.median(apart)),
        "probability_apart_p99": float(np.quantile(apart, 0.99)),
    }


def _named(device: str) -> str:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def _say(**found: Any) -> None:
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
