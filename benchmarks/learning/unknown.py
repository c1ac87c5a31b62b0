"""Images of none of the classes, from what is installed.

    python -m benchmarks.learning.unknown FOLDER

One subfolder per kind: scikit-image's and scikit-learn's sample pictures with random crops of them,
pages of rendered text, matplotlib plots, this project's screenshots, the pictures inside installed
packages, blank and noise images, in colour where they are, and pydicom's samples of ultrasound and
of other medical pictures. None of it is trained on: training draws its own unknown images.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pydicom
import skimage
import sklearn.datasets
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from medloop.core.imaging.decode import decode, encode_png

KINDS: Final = {
    "photographs": ["astronaut", "camera", "chelsea", "coffee", "rocket", "horse", "moon", "coins",
                    "clock_motion", "hubble_deep_field", "motorcycle_left"],
    "histology": ["ihc", "cell"],
    "fundus": ["retina", "microaneurysms"],
    "textures": ["brick", "grass", "gravel"],
    "documents": ["page", "text"],
}  # fmt: skip
CROPS: Final = 20  # of each picture
ULTRASOUND: Final = (
    "examples_ybr_color",
    "examples_jpeg2k",
    "examples_palette",
    "examples_rgb_color",
    "ExplVR_BigEnd",
)
OTHER_MEDICAL: Final = ("examples_overlay", "JPEG-lossy")  # an abdomen's MR and a bone scan
SITE_PACKAGES: Final = Path(np.__file__).parent.parent
SCREENSHOTS: Final = Path(__file__).parents[2] / "docs" / "screenshots"
SHOW_CLASSES: Final = (
    "classify",
    "corrections",
    "review",
)  # these pages' screenshots show pictures of the classes


def main() -> None:
    folder, rng = Path(sys.argv[1]), np.random.default_rng(0)
    counts: dict[str, int] = {}
    for kind, picture in _pictures(rng):
        counts[kind] = counts.get(kind, 0) + 1
        path = folder / kind / f"{counts[kind]:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    for kind, name, data in _dicoms():
        counts[kind] = counts.get(kind, 0) + 1
        (folder / kind).mkdir(exist_ok=True)
        (folder / kind / name).write_bytes(data)
    print(counts, "together", sum(counts.values()))


def _dicoms() -> Iterator[tuple[str, str, bytes]]:
    """Give kind, file name and contents; of a film each third frame, grey."""
    samples = Path(pydicom.__file__).parent / "data" / "test_files"
    for kind, names in (("ultrasound", ULTRASOUND), ("other medical", OTHER_MEDICAL)):
        for name in names:
            data = (samples / f"{name}.dcm").read_bytes()
            yield kind, f"{name}.dcm", data
            for frame in range(0, decode(data, find_text=False).frames, 3)[1:]:
                pixels = decode(data, find_text=False, frame=frame).pixels
                yield kind, f"{name}-{frame}.png", encode_png(pixels)


def _pictures(rng: np.random.Generator) -> Iterator[tuple[str, Image.Image]]:
    samples = Path(skimage.__file__).parent / "data"
    for kind, names in KINDS.items():
        for name in names:
            (path,) = [
                p for p in samples.iterdir() if p.stem == name and p.suffix in {".png", ".jpg"}
            ]
            yield from ((kind, view) for view in _views(Image.open(path), rng))
    for pixels in sklearn.datasets.load_sample_images().images:
        yield from (("photographs", view) for view in _views(Image.fromarray(pixels), rng))
    faces = np.load(samples / "lfw_subset.npy")[:100]
    yield from (("faces", Image.fromarray((255 * face).astype(np.uint8))) for face in faces)
    for path in sorted(SCREENSHOTS.glob("*.png")):
        if not path.name.startswith(SHOW_CLASSES):
            yield from (("screenshots", view) for view in _views(Image.open(path), rng, crops=9))
    for _ in range(60):
        yield "documents", _page(rng)
        yield "plots", _plot(rng)
        yield "noise", Image.fromarray(_noise(rng))
    for path in sorted(SITE_PACKAGES.rglob("*.png"))[::5]:
        picture = Image.open(path)
        if min(picture.size) >= 48 and "skimage" not in path.parts:
            yield "pictures of packages", picture.convert("RGBA").convert("RGB")


def _views(
    picture: Image.Image, rng: np.random.Generator, crops: int = CROPS
) -> Iterator[Image.Image]:
    """Give the whole picture and random square parts of it."""
    picture = picture.convert("RGB")
    yield picture
    for _ in range(crops):
        side = int(min(picture.size) * rng.uniform(0.25, 0.9))
        x, y = (int(rng.integers(0, extent - side + 1)) for extent in picture.size)
        yield picture.crop((x, y, x + side, y + side))


def _page(rng: np.random.Generator) -> Image.Image:
    words = (Path(np.__file__).parent / "__init__.py").read_text().split()
    page = Image.new("L", (420, 594), int(rng.integers(215, 256)))
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(int(rng.integers(9, 18)))
    for y in range(30, 560, int(rng.integers(14, 26))):
        start = int(rng.integers(0, len(words) - 12))
        draw.text(
            (30, y),
            " ".join(words[start : start + 10])[:60],
            fill=int(rng.integers(0, 90)),
            font=font,
        )
    return page.crop((0, 0, 420, int(rng.integers(250, 594))))


def _plot(rng: np.random.Generator) -> Image.Image:
    figure = Figure(figsize=(rng.uniform(3, 6), rng.uniform(2.5, 4)), dpi=70)
    axes, kind = figure.add_subplot(), rng.integers(4)
    x, y = np.arange(30), rng.normal(size=(3, 30)).cumsum(1)
    if kind == 0:
        axes.plot(x, y.T)
    elif kind == 1:
        axes.bar(x[:8], abs(y[0, :8]))
    elif kind == 2:
        axes.scatter(y[0], y[1], s=rng.uniform(5, 60))
    else:
        axes.imshow(rng.random((6, 6)))
    axes.set_title(f"series {rng.integers(100)}")
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    return Image.open(drawn)


def _noise(rng: np.random.Generator) -> np.ndarray:
    """Draw flat, white, smooth or blocky noise: uint8 [64, 64]."""
    kind = rng.integers(4)
    level = rng.integers(0, 256)
    if kind == 0:
        return np.full((64, 64), level, np.uint8)
    small = rng.integers(0, 256, (64, 64) if kind == 1 else (int(rng.integers(3, 16)),) * 2).astype(
        np.uint8
    )
    return np.asarray(
        Image.fromarray(small).resize((64, 64), Image.Resampling.BICUBIC if kind < 3 else 0)
    )


if __name__ == "__main__":
    main()
