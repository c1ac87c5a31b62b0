"""Train the first champion, which comes with the package, and write its files.

    python scripts/build_first_model.py medical-mnist.zip

On two quiet cores it takes two minutes. The same code on the same kind of processor gives the same
bytes. `medloop reproduce 1` trains it again, too.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from medloop.core.data.training_set import Corrections, assemble
from medloop.core.learn.config import TrainingConfig
from medloop.core.learn.recipe import train
from medloop.jobs.train import training_data
from medloop.jobs.training_environment import environment
from medloop.stores.dataset_import import ImportOptions
from medloop.stores.datasets import FULL_SET, LICENCE, DatasetStore
from medloop.stores.shipped_model import MODEL, RECORD, SHIPPED, WEIGHTS, ShippedRecord


def main(archive: Path) -> None:
    """Train on the full set, and write model, weights and record into the package."""
    with tempfile.TemporaryDirectory() as home:
        store = DatasetStore(Path(home))
        store.import_path(archive, options=ImportOptions(known_groups=True))
        training_set = assemble(store.get(FULL_SET), Corrections.none(), champion_labels=())
    config = TrainingConfig.full()
    started = time.monotonic()
    trained = train(training_data(training_set), config)
    record = ShippedRecord(
        labels=training_set.labels,
        base_id=FULL_SET,
        base_images=len(training_set.split.train),
        config=asdict(config),
        metrics=trained.metrics,
        history=trained.history,
        environment=environment(device="cpu"),
        seconds=round(time.monotonic() - started, 1),
        weights_sha256=trained.weights_sha256,
        onnx_sha256=hashlib.sha256(trained.onnx).hexdigest(),
        safetensors_sha256=hashlib.sha256(trained.safetensors).hexdigest(),
        commit=_commit(),
        licence=f"It learned from Medical MNIST: {LICENCE}.",
    )
    folder = Path(str(SHIPPED))
    folder.mkdir(exist_ok=True)
    (folder / MODEL).write_bytes(trained.onnx)
    (folder / WEIGHTS).write_bytes(trained.safetensors)
    (folder / RECORD).write_text(json.dumps(asdict(record), indent=1) + "\n")


def _commit() -> str:
    """Name the last commit that changed how a model is trained."""
    command = ["git", "log", "-1", "--format=%h", "--", "src/medloop/core/learn"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
