"""Rates of found burnt-in names, and of text seen in pictures without any.

    python -m benchmarks.burnt_in FOLDER

FOLDER holds pictures without text (at any depth; those under 128 pixels a side are left out). A
name is drawn into a random corner of each, in six sizes and two greys, after small pictures are
enlarged to 512 pixels.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from medloop.core.imaging.burnt_in import MIN_SIDE, text_regions
from medloop.core.imaging.decode import decode
from medloop.errors import DecodeError

NAMES = (
    "DOE^JANE 1957-03-02",
    "MUELLER, HANS M 62Y",
    "ID 4711-0815 17.03.2021",
    "St. Mary Hospital",
    "R. SMITH 0012345",
)
SIZES = (10, 12, 14, 18, 24, 32)


def main(folder: str) -> None:
    rng = random.Random(0)
    clean = list(pictures(Path(folder)))
    alarms = sum(bool(text_regions(pixels)) for pixels in clean)
    print(f"without text: {alarms} of {len(clean)} are pointed out")
    for grey in (255, 180):
        for size in SIZES:
            found = sum(is_found(pixels, size, grey, rng) for pixels in clean)
            print(f"a name {size} pixels high in grey {grey}: found in {found} of {len(clean)}")


def pictures(folder: Path) -> list[np.ndarray]:
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            pixels = decode(path.read_bytes(), find_text=False).pixels
        except DecodeError:
            continue
        if min(pixels.shape) >= MIN_SIDE:
            found.append(pixels)
    return found


def is_found(pixels: np.ndarray, size: int, grey: int, rng: random.Random) -> bool:
    image = Image.fromarray(pixels)
    if min(image.size) < 400:
        image = image.resize((512, 512 * image.height // image.width), Image.Resampling.BILINEAR)
    draw, font, name = ImageDraw.Draw(image), ImageFont.load_default(size), rng.choice(NAMES)
    width = draw.textlength(name, font=font)
    left, top = rng.choice((6, image.width - width - 6)), rng.choice((5, image.height - size - 10))
    draw.text((left, top), name, fill=grey, font=font)
    return any(
        abs(region.top + region.height / 2 - top - size / 2) < size + 8
        and region.left < left + width
        and region.left + region.width > left
        for region in text_regions(np.asarray(image))
    )


if __name__ == "__main__":
    main(sys.argv[1])
