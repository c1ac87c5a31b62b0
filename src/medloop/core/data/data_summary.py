"""Summary of a data set for a person about to train on it: counts, warnings, a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from medloop.core.data.chance import better_than_chance
from medloop.core.data.datasets import Dataset, blank, exact_duplicates
from medloop.core.data.training_set import RARE

COMPARED: Final = 150  # images per class that `warnings` compares
SHOWN: Final = 12  # sample images per class
TILE: Final = 96  # pixels a side of a sample image in the picture
GAP: Final = 6
TITLE: Final = 22  # pixels above each class's row
HISTOGRAM: Final = 192  # pixels wide
INK, PAPER, BAR = (34, 34, 40), (255, 255, 255), (58, 110, 165)


@dataclass(frozen=True, slots=True)
class ClassSummary:
    """Numbers of images, but for `groups`."""

    label: str
    images: int
    groups: int
    duplicates: int  # exact copies of an earlier image
    blanks: int
    train: int
    validation: int
    test: int


def summarise(dataset: Dataset) -> list[ClassSummary]:
    """Summarise each class, in the order of the labels."""
    parts = dataset.split()
    chosen = {
        "images": slice(None),
        "duplicates": exact_duplicates(dataset.images) != np.arange(len(dataset.images)),
        "blanks": blank(dataset.images),
        "train": parts.train,
        "validation": parts.validation,
        "test": parts.test,
    }
    n = len(dataset.labels)
    counts = {k: np.bincount(dataset.targets[v], minlength=n) for k, v in chosen.items()}
    return [
        ClassSummary(
            label=label,
            groups=len(np.unique(dataset.groups[dataset.targets == target])),
            **{name: int(count[target]) for name, count in counts.items()},
        )
        for target, label in enumerate(dataset.labels)
    ]


def warnings(dataset: Dataset) -> Iterator[str]:
    """Tell in sentences what a model will find hard to learn here."""
    counts = np.bincount(dataset.targets, minlength=len(dataset.labels))
    largest = int(counts.argmax())
    for label, n in zip(dataset.labels, counts.tolist(), strict=True):
        if n < RARE * counts[largest]:
            yield (
                f"{label} is rare: {n:,} images beside {counts[largest]:,} of "
                f"{dataset.labels[largest]}. Training draws them more often; more of them help."
            )
    if not _differ_in_grey(dataset):
        yield (
            "In grey, which is all that medloop sees, the classes look alike: the most similar "
            "picture is of another class as often as by chance. Classes that differ by colour "
            "alone cannot be learned."
        )


def _differ_in_grey(dataset: Dataset) -> bool:
    """Tell if the most similar picture of another group tells the class better than chance."""
    classes = [np.flatnonzero(dataset.targets == target) for target in range(len(dataset.labels))]
    rows = np.concatenate([_spread(members, COMPARED) for members in classes])
    small = dataset.images[rows].reshape(-1, 16, 4, 16, 4).mean((2, 4)).reshape(len(rows), -1)
    distances = (small**2).sum(1) - 2 * small @ small.T  # but for a constant in each row
    groups = dataset.groups[rows]
    distances[groups[:, None] == groups] = np.inf
    targets = dataset.targets[rows]
    return better_than_chance(targets, targets[distances.argmin(1)])


def picture(dataset: Dataset, summaries: Sequence[ClassSummary]) -> Image.Image:
    """Draw a row per class: images spread over its groups, and its grey values (square roots)."""
    height = TITLE + TILE + GAP
    width = GAP + SHOWN * (TILE + GAP) + HISTOGRAM + GAP
    sheet = Image.new("RGB", (width, height * len(summaries) + GAP), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for target, summary in enumerate(summaries):
        top = GAP + target * height
        title = f"{summary.label}: {summary.images:,} images, {summary.groups:,} groups"
        draw.text((GAP, top), title, INK, font)
        members = np.flatnonzero(dataset.targets == target)
        by_group = members[np.argsort(dataset.groups[members], kind="stable")]
        for column, i in enumerate(_spread(by_group, SHOWN)):
            tile = Image.fromarray(dataset.images[i]).resize((TILE, TILE), Image.Resampling.NEAREST)
            sheet.paste(tile, (GAP + column * (TILE + GAP), top + TITLE))
        box = (GAP + SHOWN * (TILE + GAP), top + TITLE)
        _histogram(draw, dataset.images[members], box)
    return sheet


def _spread(items: np.ndarray, n: int) -> np.ndarray:
    n = min(n, len(items))
    return items[(2 * np.arange(n) + 1) * len(items) // (2 * n)] if n else items


def _histogram(draw: ImageDraw.ImageDraw, images: np.ndarray, corner: tuple[int, int]) -> None:
    counts = np.bincount(images.ravel(), minlength=256).reshape(64, 4).sum(axis=1)
    heights = np.sqrt(counts / max(counts.max(), 1)) * TILE
    left, top = corner
    for i, bar in enumerate(heights):
        x = left + i * HISTOGRAM // 64
        draw.rectangle((x, top + TILE - int(bar), x + HISTOGRAM // 64 - 1, top + TILE), fill=BAR)
    draw.line((left, top + TILE, left + HISTOGRAM, top + TILE), fill=INK)
