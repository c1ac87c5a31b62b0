"""The bars of the learning core, one command each.

    python -m benchmarks.learning train       BASE [--preset full|sample] [--seeds 3]
    python -m benchmarks.learning bars        BASE OTHERS [--peers]
                                              [--seeds 3]
    python -m benchmarks.learning corrections BASE OTHERS [--seeds 2]
    python -m benchmarks.learning speed       BASE [--peers]
    python -m benchmarks.learning resnet      BASE [--epochs 3]
    python -m benchmarks.learning ablations   BASE OTHERS [--seeds 2]

Results go to benchmarks/out as JSON and are printed; models are kept there too.

BASE is `--data ZIP --groups CSV`, OTHERS is `--external DIR [--unknown DIR]`.
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
import torch

from benchmarks.learning import ablations, corrections, measure, peers, speed
from benchmarks.learning.data import CACHE, Base, load_base, load_external, load_unknown, timed
from medloop.core.corrections.holdout import twins
from medloop.core.data.training_set import Corrections, TrainingSet, assemble
from medloop.core.learn.recipe import TrainingConfig, TrainingData
from medloop.core.prediction.predictor import Predictor
from medloop.jobs.train import training_data
from medloop.stores.datasets import bundled_sample


def main() -> None:
    arguments = _arguments()
    base = load_base(arguments.data, arguments.groups)
    commands = {"train": _train, "bars": _bars, "corrections": _corrections, "speed": _speed, "resnet": _resnet,
                "ablations": _ablations}  # fmt: skip
    results = commands[arguments.command](base, arguments)
    results["machine"] = _machine()
    (CACHE / f"{arguments.command}-{arguments.preset}.json").write_text(
        json.dumps(results, indent=1)
    )
    print(json.dumps(results, indent=1))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__)
    parser.add_argument(
        "command", choices=["train", "bars", "corrections", "speed", "resnet", "ablations"]
    )
    parser.add_argument("--data", type=Path, required=True, help="the class-folder zip")
    parser.add_argument("--groups", type=Path, required=True, help="CSV of file and group")
    parser.add_argument("--external", type=Path, help="folder with manifest.csv")
    parser.add_argument(
        "--unknown", type=Path, help="folder of folders of images of none of the classes"
    )
    parser.add_argument("--preset", default="full", choices=["full", "sample"])
    parser.add_argument(
        "--model", help="name of a model in benchmarks/out; the preset's by default"
    )
    parser.add_argument("--peers", action="store_true", help="measure the peers too")
    parser.add_argument("--epochs", type=int, default=3, help="of the ResNet-18")
    parser.add_argument(
        "--seeds", type=int, default=1, help="how often to repeat what depends on chance"
    )
    return parser.parse_args()


def _machine() -> dict[str, Any]:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return {
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "commit": commit.stdout.strip(),
        "date": time.strftime("%Y-%m-%d"),
    }


def _model_file(arguments: argparse.Namespace, suffix: str, seed: int = 0) -> Path:
    name = arguments.model or arguments.preset
    return CACHE / (f"{name}-{seed}.{suffix}" if seed else f"{name}.{suffix}")


def _model(arguments: argparse.Namespace, suffix: str, seed: int = 0) -> bytes:
    path = _model_file(arguments, suffix, seed)
    if not path.exists():
        raise SystemExit(
            f"{path} is missing: run `python -m benchmarks.learning train` first, "
            "with as many --seeds"
        )
    return path.read_bytes()


def _sample() -> TrainingSet:
    """Load the bundled sample as the first training takes it."""
    return assemble(bundled_sample(), Corrections.none(), champion_labels=())


def _unseen(base: Base) -> Base:
    """Leave out test images that the sample's training saw, or nearly."""
    sample = _sample()
    seen = sample.base.images[np.concatenate([sample.split.train, sample.split.validation])]
    return replace(base, test=base.test[~twins(base.images[base.test], seen)])


def _train(base: Base, arguments: argparse.Namespace) -> dict[str, Any]:
    data = base.training_data() if arguments.preset == "full" else training_data(_sample())
    return {f"seed {seed}": _train_one(data, arguments, seed) for seed in range(arguments.seeds)}


def _train_one(data: TrainingData, arguments: argparse.Namespace, seed: int) -> dict[str, Any]:
    config = (
        TrainingConfig.full(seed) if arguments.preset == "full" else TrainingConfig.sample(seed)
    )
    cpu = time.process_time()
    model, seconds = timed(
        data, config, progress=lambda share, phrase: print(f"{share:4.0%} {phrase}", end="\r")
    )
    _model_file(arguments, "onnx", seed).write_bytes(model.onnx)
    _model_file(arguments, "safetensors", seed).write_bytes(model.safetensors)
    return {
        "seconds": seconds,
        "cpu_seconds": time.process_time() - cpu,
        "n": len(data.targets),
        "metrics": model.metrics,
        "weights_sha256": model.weights_sha256,
        "file_bytes": len(model.onnx),
    }


def _bars(base: Base, arguments: argparse.Namespace) -> dict[str, Any]:
    external = load_external(arguments.external, base.labels)
    base = base if arguments.preset == "full" else _unseen(base)
    unknown = load_unknown(arguments.unknown) if arguments.unknown else {}
    results: dict[str, Any] = {}
    for seed in range(arguments.seeds):
        predictor = Predictor(_model(arguments, "onnx", seed))
        results[f"medloop, seed {seed}"] = measure.accuracies(
            lambda images, predictor=predictor: predictor.predict_arrays(images).probabilities,
            base,
            external,
        ) | measure.verdicts(predictor, base, external, unknown)
    if arguments.peers:
        resnet, seconds = peers.train_resnet18(base, CACHE, arguments.epochs)
        results["1-NN"] = measure.accuracies(peers.nearest_neighbour(base), base, external)
        results["ResNet-18"] = measure.accuracies(resnet, base, external)
        results["ResNet-18"] |= measure.verdicts_by_probability(resnet, external, unknown)
        results["ResNet-18"] |= {"seconds": seconds, "epochs": arguments.epochs}
    return results


def _corrections(base: Base, arguments: argparse.Namespace) -> dict[str, Any]:
    external = load_external(arguments.external, base.labels)
    onnx, weights = _model(arguments, "onnx"), _model(arguments, "safetensors")
    config = TrainingConfig.weekly()
    unknown = load_unknown(arguments.unknown) if arguments.unknown else {}
    found: dict[str, Any] = {"1,000 corrections": corrections.busy_week(base, weights, config)}
    if "faces" in unknown:  # a hundred people, each once
        faces = unknown["faces"].images
        found["faces are none of these"] = corrections.none_of_these(
            base, onnx, weights, faces, config
        )
    return found | {
        f"seed {seed}": corrections.compare(base, external, onnx, weights, config, seed=seed)
        for seed in reversed(range(arguments.seeds))
    }


def _speed(base: Base, arguments: argparse.Namespace) -> dict[str, Any]:
    model, jpegs = _model(arguments, "onnx"), speed.read_jpegs(arguments.data, 4000)
    predictor = Predictor(model, threads=1)
    results: dict[str, Any] = {
        "one": speed.one_image(predictor.predict, jpegs[:600]),
        "file_bytes": len(model),
    }
    for threads in (1, 2):
        results[f"many, {threads} threads"] = speed.many_images(
            lambda images: predictor.predict_arrays(np.stack(images)), jpegs, threads=threads
        )
    if arguments.peers:
        results["ResNet-18"] = _resnet_speed(base, jpegs, arguments.epochs)
    return results


def _resnet_speed(base: Base, jpegs: list[bytes], epochs: int) -> dict[str, Any]:
    """Time the peer in PyTorch, a thread per operator, as the many are shared by threads."""
    resnet, _ = peers.train_resnet18(base, CACHE, epochs)
    torch.set_num_threads(1)

    def answer(images: list[np.ndarray]) -> np.ndarray:
        return resnet(np.stack(images))

    return {
        "one": speed.one_image(answer, jpegs[:120]),
        "many, 2 threads": speed.many_images(answer, jpegs[:640], threads=2, repeats=3),
        "file_bytes": peers.weights_file(CACHE, epochs).stat().st_size,
    }


def _ablations(base: Base, arguments: argparse.Namespace) -> dict[str, Any]:
    external = load_external(arguments.external, base.labels)
    unknown = load_unknown(arguments.unknown) if arguments.unknown else {}
    return ablations.without_each(
        training_data(_sample()), _unseen(base), external, unknown, arguments.seeds
    )


def _resnet(base: Base, arguments: argparse.Namespace) -> dict[str, Any]:
    _, seconds = peers.train_resnet18(base, CACHE, arguments.epochs)
    return {"seconds": seconds, "epochs": arguments.epochs}


if __name__ == "__main__":
    main()
