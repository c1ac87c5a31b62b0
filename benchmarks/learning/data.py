"""Loads what the bars are measured on: base, external, corrupted and unknown images."""

from __future__ import annotations

import csv
import hashlib
import io
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from medloop.core.data.datasets import scored
from medloop.core.data.splits import split
from medloop.core.gate.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from medloop.core.imaging.decode import decode
from medloop.core.imaging.picture import ImageInfo
from medloop.core.imaging.preprocess import preprocess
from medloop.core.learn.config import TrainingConfig
from medloop.core.learn.recipe import TrainingData, train
from medloop.core.learn.trained_model import TrainedModel

CACHE = Path(__file__).parent.parent / "out"
Arrays = tuple[np.ndarray, np.ndarray]  # images uint8 [N, 64, 64], targets int64 [N]


@dataclass(frozen=True, slots=True)
class Base:
    """Medical MNIST with its split; `test` leaves blanks and repeats out."""

    labels: tuple[str, ...]
    images: np.ndarray
    targets: np.ndarray
    groups: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    def part(self, rows: np.ndarray) -> Arrays:
        return self.images[rows], self.targets[rows]

    def training_data(self, corrections: Arrays | None = None) -> TrainingData:
        nothing = (np.zeros((0, 64, 64), np.uint8), np.zeros(0, np.int64))
        images, targets = corrections or nothing
        return TrainingData(
            self.labels,
            *self.part(self.train),
            *self.part(self.validation),
            images,
            targets,
        )


@dataclass(frozen=True, slots=True)
class External:
    """Images from other sources: grey arrays of any size, and through the preprocessing."""

    raw: list[np.ndarray]
    images: np.ndarray
    targets: np.ndarray
    sources: np.ndarray  # str [N]
    originals: np.ndarray  # str [N], what the image was before


def timed(data: TrainingData, config: TrainingConfig, **options: Any) -> tuple[TrainedModel, float]:
    """Train; give the model and the seconds that it took."""
    started = time.perf_counter()
    return train(data, config, **options), time.perf_counter() - started


def load_base(path: Path, groups_path: Path) -> Base:
    """Load the class-folder zip and the CSV of groups; decoded once, then from the cache."""
    key = hashlib.sha256(f"{path.stat().st_size}{groups_path.stat().st_size}".encode()).hexdigest()[
        :12
    ]
    cached = CACHE / f"base-{key}.npz"
    if not cached.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        np.savez(cached, **_decode(path, groups_path))
    values = np.load(cached)
    images, targets, groups = values["images"], values["targets"], values["groups"]
    parts = split(targets, groups)
    fine = scored(images)
    return Base(
        tuple(values["labels"].tolist()),
        images,
        targets,
        groups,
        parts.train,
        parts.validation,
        parts.test[fine[parts.test]],
    )


def _decode(path: Path, groups_path: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive, groups_path.open() as table:
        groups = {row["file"]: int(row["group"]) for row in csv.DictReader(table)}
        files = sorted(groups)
        images = np.stack(
            [np.asarray(Image.open(io.BytesIO(archive.read(file))).convert("L")) for file in files]
        )
    classes = [file.split("/")[0] for file in files]
    labels = sorted(set(classes))
    targets = np.array([labels.index(c) for c in classes])
    return {
        "images": images,
        "targets": targets,
        "groups": np.array([groups[f] for f in files]),
        "labels": np.array(labels),
    }


def load_external(folder: Path, labels: tuple[str, ...]) -> External:
    """Load a folder with `manifest.csv` (path, label, source, original)."""
    with (folder / "manifest.csv").open() as table:
        rows = list(csv.DictReader(table))
    raw = [np.asarray(Image.open(folder / row["path"]).convert("L")) for row in rows]
    return External(
        raw,
        np.stack([preprocess(image) for image in raw]),
        np.array([labels.index(row["label"]) for row in rows]),
        np.array([row["source"] for row in rows]),
        np.array([row["original"] for row in rows]),
    )


def corrupted(base: Base, per_class: int) -> tuple[np.ndarray, np.ndarray]:
    """Corrupt test images of each class, spread over groups: uint8 [41, 5, n, 64, 64], targets [n].

    Cached.
    """
    rows = spread(base, base.test, per_class)
    cached = CACHE / f"corrupted-{hashlib.sha256(rows.tobytes()).hexdigest()[:12]}.npy"
    if not cached.exists():
        np.save(
            cached,
            np.stack(
                [[corrupt(base.images[rows], name, s) for s in SEVERITIES] for name in CORRUPTIONS]
            ),
        )
    return np.load(cached, mmap_mode="r"), base.targets[rows]


def spread(base: Base, rows: np.ndarray, per_class: int) -> np.ndarray:
    """Choose up to `per_class` rows of each class, evenly over the class's rows."""
    parts = [rows[base.targets[rows] == c] for c in range(len(base.labels))]
    return np.concatenate(
        [
            part[np.linspace(0, len(part) - 1, min(per_class, len(part))).astype(int)]
            for part in parts
        ]
    )


@dataclass(frozen=True, slots=True)
class Unknown:
    """Images of none of the classes, as the decoder gives them."""

    images: np.ndarray  # uint8 [N, 64, 64]
    about: list[ImageInfo]  # what their files say beside the grey pixels


def load_unknown(folder: Path) -> dict[str, Unknown]:
    """Load {kind: images}, one subfolder of image files per kind."""
    kinds: dict[str, Unknown] = {}
    for kind in sorted(p for p in folder.iterdir() if p.is_dir()):
        decoded = [
            decode(f.read_bytes(), find_text=False) for f in sorted(kind.iterdir()) if f.is_file()
        ]
        images = np.stack([preprocess(image.pixels) for image in decoded])
        kinds[kind.name] = Unknown(images, [image.info for image in decoded])
    return kinds
