"""Example pictures to try: one per class, two altered ones, one that shows no class at all."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from medloop.app.kit.wording import class_name
from medloop.app.kit.workbench import Source
from medloop.core.data.datasets import Dataset, blank

PAGE_SIDE: Final = 256


def examples(dataset: Dataset) -> list[Source]:
    """Make PNG files in memory from the data set's test groups, which no model was trained on."""
    test = dataset.split().test
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
    pictures["Written page.png"] = _written_page()
    return [
        Source(f"example-{place}", name, _png(pixels))
        for place, (name, pixels) in enumerate(pictures.items())
    ]


def _written_page() -> np.ndarray:
    """Draw black lines of words on white, uint8 [256, 256]: no class, and far from all of them.

    The sample's models took some drawings for a class (grey bars and rings, stripes, noise, a star
    of wedges). This one scored 5 to 10 above their limits of about 1.
    """
    image, words = Image.new("L", (PAGE_SIDE, PAGE_SIDE), 255), np.random.default_rng(7)
    draw = ImageDraw.Draw(image)
    for line, top in enumerate(range(16, 240, 24)):
        if line % 5 == 4:
            continue  # between paragraphs
        left, end = 16, 120 if line % 5 == 3 else 230
        while left < end:
            width = int(words.integers(8, 34))
            draw.rectangle((left, top, min(left + width, 236), top + 11), fill=0)
            left += width + 7
    return np.asarray(image)


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
