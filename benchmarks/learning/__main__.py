"""The bars of the learning core, one command each.

    python -m benchmarks.learning train       --data ZIP --groups CSV [--preset full|sample]
    python -m benchmarks.learning bars        --data ZIP --groups CSV --external DIR [--unknown DIR] [--peers]
    python -m benchmarks.learning corrections --data ZIP --groups CSV --external DIR
    python -m benchmarks.learning speed       --data ZIP --groups CSV
    python -m benchmarks.learning resnet      --data ZIP --groups CSV [--epochs 3]

Results go to benchmarks/out as JSON and are printed; models are kept there too.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.learning import corrections, measure, peers, speed
from benchmarks.learning.data import CACHE, Base, load_base, load_external, load_unknown, spread
from medloop.core.learn.recipe import TrainingConfig, TrainingData, train
from medloop.core.predict import Predictor

SAMPLE_PER_CLASS = 1000


def main() -> None:
    arguments = _arguments()
    base = load_base(arguments.data, arguments.groups)
    commands = {"train": _train, "bars": _bars, "corrections": _corrections, "speed": _speed, "resnet": _resnet}
    results = commands[arguments.command](base, arguments)
    results["machine"] = _machine()
    (CACHE / f"{arguments.command}-{arguments.preset}.json").write_text(json.dumps(results, indent=1))
    print(json.dumps(results, indent=1))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__)
    parser.add_argument("command", choices=["train", "bars", "corrections", "speed", "resnet"])
    parser.add_argument("--data", type=Path, required=True, help="the class-folder zip")
    parser.add_argument("--groups", type=Path, required=True, help="CSV of file and group")
    parser.add_argument("--external", type=Path, help="folder with manifest.csv")
    parser.add_argument("--unknown", type=Path, help="folder of folders of images of none of the classes")
    parser.add_argument("--preset", default="full", choices=["full", "sample"])
    parser.add_argument("--model", help="name of a model in benchmarks/out; the preset's by default")
    parser.add_argument("--peers", action="store_true", help="measure the peers too")
    parser.add_argument("--epochs", type=int, default=3, help="of the ResNet-18")
    parser.add_argument("--seeds", type=int, default=1, help="how often to repeat what depends on chance")
    return parser.parse_args()


def _machine() -> dict[str, Any]:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "commit": commit.stdout.strip(),
        "date": time.strftime("%Y-%m-%d"),
    }


def _model(arguments: argparse.Namespace, suffix: str) -> bytes:
    return (CACHE / f"{arguments.model or arguments.preset}.{suffix}").read_bytes()


def _sample(base: Base) -> TrainingData:
    """About 6,000 images, as the bundled sample has."""
    rows, held_out = spread(base, base.train, SAMPLE_PER_CLASS), spread(base, base.validation, SAMPLE_PER_CLASS // 8)
    return replace(base, train=rows, validation=held_out).training_data()


def _train(base: Base, arguments: argparse.Namespace) -> dict[str, Any]:
    data = base.training_data() if arguments.preset == "full" else _sample(base)
    config = TrainingConfig.full() if arguments.preset == "full" else TrainingConfig.sample()
    cpu = time.process_time()
    model = train(data, config, progress=lambda share, phrase: print(f"{share:4.0%} {phrase}", end="\r"))
    (CACHE / f"{arguments.preset}.onnx").write_bytes(model.onnx)
    (CACHE / f"{arguments.preset}.safetensors").write_bytes(model.safetensors)
    return {
        "seconds": model.seconds,
        "cpu_seconds": time.process_time() - cpu,
        "n": len(data.targets),
        "metrics": model.metrics,
        "weights_sha256": model.weights_sha256,
        "file_bytes": len(model.onnx),
    }


def _bars(base: Base, arguments: argparse.Namespace) -> dict[str, Any]:
    external = load_external(arguments.external, base.labels)
    predictor = Predictor(_model(arguments, "onnx"))
    unknown = load_unknown(arguments.unknown) if arguments.unknown else {}

    def classify(images: np.ndarray) -> np.ndarray:
        return predictor.predict_arrays(images).probabilities

    results: dict[str, Any] = {"medloop": measure.accuracies(classify, base, external)}
    results["medloop"] |= measure.verdicts(predictor, base, external, unknown)
    if arguments.peers:
        results["1-NN"] = measure.accuracies(peers.nearest_neighbour(base), base, external)
        resnet, seconds = peers.train_resnet18(base, CACHE, arguments.epochs)
        results["ResNet-18"] = measure.accuracies(resnet, base, external) | {
            "seconds": seconds,
            "epochs": arguments.epochs,
        }
    return results


def _corrections(base: Base, arguments: argparse.Namespace) -> dict[str, Any]:
    external = load_external(arguments.external, base.labels)
    onnx, weights = _model(arguments, "onnx"), _model(arguments, "safetensors")
    config = TrainingConfig.weekly()
    return {"1,000 corrections": corrections.busy_week(base, weights, config)} | {
        f"seed {seed}": corrections.compare(base, external, onnx, weights, config, seed=seed)
        for seed in reversed(range(arguments.seeds))
    }


def _speed(base: Base, arguments: argparse.Namespace) -> dict[str, Any]:
    model, jpegs = _model(arguments, "onnx"), speed.read_jpegs(arguments.data, 4000)
    return {
        "one": speed.one_image(model, jpegs[:600]),
        "many, 1 thread": speed.many_images(model, jpegs, threads=1),
        "many, 2 threads": speed.many_images(model, jpegs, threads=2),
        "file_bytes": len(model),
    }


def _resnet(base: Base, arguments: argparse.Namespace) -> dict[str, Any]:
    _, seconds = peers.train_resnet18(base, CACHE, arguments.epochs)
    return {"seconds": seconds, "epochs": arguments.epochs}


if __name__ == "__main__":
    main()
