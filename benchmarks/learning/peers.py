"""The peers: the published system's recipe and a nearest neighbour on 16×16 means."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.learning.data import Base
from benchmarks.learning.measure import Classifier


class Block(nn.Module):
    """Two 3×3 convolutions and a shortcut (He et al. 2016)."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False), nn.BatchNorm2d(n_out)
        )
        self.second = nn.Sequential(
            nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False), nn.BatchNorm2d(n_out)
        )
        shortcut = nn.Sequential(
            nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out)
        )
        self.shortcut = nn.Identity() if stride == 1 and n_in == n_out else shortcut

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


def resnet18(n_classes: int) -> nn.Module:
    """Make a ResNet-18 for one input channel."""
    stem = [
        nn.Conv2d(1, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    ]
    widths = [
        (64, 64, 1),
        (64, 64, 1),
        (64, 128, 2),
        (128, 128, 1),
        (128, 256, 2),
        (256, 256, 1),
        (256, 512, 2),
        (512, 512, 1),
    ]
    blocks = [Block(*width) for width in widths]
    return nn.Sequential(
        *stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, n_classes)
    )


def _input(images: np.ndarray | Tensor) -> Tensor:
    return (torch.as_tensor(images).float().unsqueeze(1) / 255 - 0.5) / 0.5


def train_resnet18(base: Base, cache: Path, epochs: int, seed: int = 0) -> tuple[Classifier, float]:
    """Train with Adam 1e-3, batch 32, no augmentation, data in memory.

    Gives the classifier and the seconds of training.
    """
    torch.manual_seed(seed)
    network = resnet18(len(base.labels))
    file = weights_file(cache, epochs)
    if file.exists():
        kept = load_file(file)
        seconds = float(kept.pop("seconds"))
        network.load_state_dict(kept)
        return _classifier(network.eval()), seconds
    images, targets = (torch.from_numpy(a) for a in base.part(base.train))
    optimiser, started = torch.optim.Adam(network.parameters(), 1e-3), time.perf_counter()
    for epoch in range(epochs):
        for rows in torch.randperm(len(targets)).split(32):
            optimiser.zero_grad()
            F.cross_entropy(network(_input(images[rows])), targets[rows]).backward()
            optimiser.step()
        print(f"ResNet-18 epoch {epoch + 1}: {time.perf_counter() - started:.0f} s", flush=True)
    seconds = time.perf_counter() - started
    save_file(network.state_dict() | {"seconds": torch.tensor(seconds)}, file)
    return _classifier(network.eval()), seconds


def weights_file(cache: Path, epochs: int) -> Path:
    """Name the file of the weights, with the seconds that their training took."""
    return cache / f"resnet18-{epochs}.safetensors"


def _classifier(network: nn.Module) -> Classifier:
    @torch.no_grad()
    def classify(images: np.ndarray) -> np.ndarray:
        return np.concatenate(
            [
                network(_input(part)).softmax(1).numpy()
                for part in np.array_split(images, len(images) // 256 + 1)
            ]
        )

    return classify


def nearest_neighbour(base: Base, n_train: int = 20_000) -> Classifier:
    """Classify by 1-NN on 16×16 block means, over an even sample of the training images."""
    rows = base.train[
        np.linspace(0, len(base.train) - 1, min(n_train, len(base.train))).astype(int)
    ]
    index, targets = _means(base.images[rows]), base.targets[rows]
    squares = (index**2).sum(1)

    def classify(images: np.ndarray) -> np.ndarray:
        out = np.zeros((len(images), len(base.labels)))
        for start in range(0, len(images), 256):
            queries = _means(images[start : start + 256])
            nearest = (squares - 2 * queries @ index.T).argmin(1)
            out[np.arange(start, start + len(queries)), targets[nearest]] = 1.0
        return out

    return classify


def _means(images: np.ndarray) -> np.ndarray:
    return (
        images.reshape(len(images), 16, 4, 16, 4)
        .mean((2, 4))
        .reshape(len(images), 256)
        .astype(np.float32)
    )
