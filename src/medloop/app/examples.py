"""Example pictures for people who have none at hand: one of each class, two altered, one that is no class at all."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from medloop.app.session import Source
from medloop.app.verdicts import class_name
from medloop.core.datasets import Dataset, blank
from medloop.core.splits import split

CHART_SIDE: Final = 256


def examples(dataset: Dataset) -> list[Source]:
    """Pictures from the data set's test groups, which no model was trained on, as PNG files in memory."""
    test = split(dataset.targets, dataset.groups).test
    test = test[~blank(dataset.images[test])]
    chosen = {
        label: dataset.images[of_class[len(of_class) // 2]]
        for target, label in enumerate(dataset.labels)
        if len(of_class := test[dataset.targets[test] == target])
    }
    pictures = {f"{class_name(label)}.png": pixels for label, pixels in chosen.items()}
    first, *_, last = chosen.items()
    pictures[f"{class_name(first[0])}, inverted.png"] = 255 - first[1]
    pictures[f"{class_name(last[0])}, upside down.png"] = np.flipud(last[1])
    pictures["Test chart.png"] = _test_chart()
    return [Source(f"example-{place}", name, _png(pixels)) for place, (name, pixels) in enumerate(pictures.items())]


def _test_chart() -> np.ndarray:
    """Grey bars, rings and lines, uint8 [256, 256]: an honest model calls it none of its classes."""
    image = Image.new("L", (CHART_SIDE, CHART_SIDE), 30)
    draw = ImageDraw.Draw(image)
    for step in range(8):
        draw.rectangle((step * 32, 0, step * 32 + 31, 80), fill=step * 36)
        draw.ellipse((24 + step * 12, 96 + step * 8, 152 - step * 4, 224 - step * 8), outline=255 - step * 20, width=3)
    for step in range(0, 80, 6):
        draw.line((168, 96 + step * 2, 248, 96 + step), fill=230, width=2)
    return np.asarray(image)


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
