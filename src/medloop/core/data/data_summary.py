"""What a person wants to know about a data set before training on it: counts, and one look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from medloop.core.data.datasets import Dataset, blank, exact_duplicates
from medloop.core.data.splits import split

SHOWN: Final = 12  # sample images a class
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
    """One summary a class, in the order of the labels."""
    duplicate = exact_duplicates(dataset.images) != np.arange(len(dataset.images))
    empty = blank(dataset.images)
    parts = split(dataset.targets, dataset.groups)

    def count(chosen: np.ndarray, target: int) -> int:
        return int((dataset.targets[chosen] == target).sum())

    return [
        ClassSummary(
            label=label,
            images=count(np.arange(len(dataset.targets)), target),
            groups=len(np.unique(dataset.groups[dataset.targets == target])),
            duplicates=count(duplicate, target),
            blanks=count(empty, target),
            train=count(parts.train, target),
            validation=count(parts.validation, target),
            test=count(parts.test, target),
        )
        for target, label in enumerate(dataset.labels)
    ]


def picture(dataset: Dataset, summaries: Sequence[ClassSummary]) -> Image.Image:
    """A row a class: images spread over its groups, then how often each grey value occurs (square-root scale)."""
    height = TITLE + TILE + GAP
    width = GAP + SHOWN * (TILE + GAP) + HISTOGRAM + GAP
    sheet = Image.new("RGB", (width, height * len(summaries) + GAP), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for target, summary in enumerate(summaries):
        top = GAP + target * height
        title = f"{summary.label}: {summary.images:,} images, {summary.groups:,} groups"
        draw.text((GAP, top), title, INK, font)
        members = np.flatnonzero(dataset.targets == target)
        for column, i in enumerate(
            _spread(members[np.argsort(dataset.groups[members], kind="stable")], SHOWN)
        ):
            tile = Image.fromarray(dataset.images[i]).resize((TILE, TILE), Image.Resampling.NEAREST)
            sheet.paste(tile, (GAP + column * (TILE + GAP), top + TITLE))
        box = (GAP + SHOWN * (TILE + GAP), top + TITLE)
        _histogram(draw, dataset.images[members], box)
    return sheet


def _spread(items: np.ndarray, n: int) -> np.ndarray:
    n = min(n, len(items))
    return items[(2 * np.arange(n) + 1) * len(items) // (2 * n)]


def _histogram(draw: ImageDraw.ImageDraw, images: np.ndarray, corner: tuple[int, int]) -> None:
    counts = np.bincount(images.ravel(), minlength=256).reshape(64, 4).sum(axis=1)
    heights = np.sqrt(counts / max(counts.max(), 1)) * TILE
    left, top = corner
    for i, bar in enumerate(heights):
        x = left + i * HISTOGRAM // 64
        draw.rectangle((x, top + TILE - int(bar), x + HISTOGRAM // 64 - 1, top + TILE), fill=BAR)
    draw.line((left, top + TILE, left + HISTOGRAM, top + TILE), fill=INK)
