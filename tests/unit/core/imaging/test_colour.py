"""A picture in colour is told from a grey one, also from one that is merely tinted, in every kind
of file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pydicom.data import get_testdata_file
from tests.hostile.corpus import photo, saved

from medloop.core.imaging.colour import WARNING, in_colour
from medloop.core.imaging.decode import decode

GREY = Image.fromarray(photo()).resize((320, 240))


def hues() -> Image.Image:
    """The same scene with hues that change over it and have nothing to do with luminance."""
    y, x = np.mgrid[: GREY.height, : GREY.width]
    chroma = [128 + 50 * np.sin(x / 40), 128 + 50 * np.cos(y / 30)]
    planes = [np.asarray(GREY), *(plane.astype(np.uint8) for plane in chroma)]
    return Image.merge("YCbCr", [Image.fromarray(plane) for plane in planes]).convert("RGB")


def tinted(red: float, green: float, blue: float) -> Image.Image:
    return Image.merge(
        "RGB", [GREY.point(lambda v, f=factor: int(v * f)) for factor in (red, green, blue)]
    )


def with_marks() -> Image.Image:
    """A grey picture as a viewer shows it: coloured lines, a label, a button."""
    image = GREY.convert("RGB")
    draw = ImageDraw.Draw(image)
    draw.line((20, 20, 300, 200), fill=(255, 230, 0), width=3)
    draw.rectangle((5, 5, 45, 20), fill=(0, 120, 255))
    return image


def upright() -> Image.Exif:
    """Turns nothing, and sends a JPEG the long way."""
    exif = Image.Exif()
    exif[0x0112] = 1
    return exif


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WebP", "GIF"])
def test_a_picture_with_hues_is_in_colour_and_says_so(kind: str) -> None:
    image = decode(saved(hues(), kind))
    assert image.in_colour
    assert WARNING in image.warnings
    assert not image.needs_clearance or image.text_regions  # colour alone is nothing to clear


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WebP", "GIF"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_grey_picture_is_not_however_it_is_stored(kind: str, mode: str) -> None:
    image = decode(saved(GREY.convert(mode), kind))
    assert not image.in_colour
    assert WARNING not in image.warnings


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"subsampling": 0}, {"exif": upright()}]
)
@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_no_way_through_a_jpeg_misses_it(mode: str, options: dict[str, object]) -> None:
    assert decode(saved(hues().convert(mode), "JPEG", **options)).in_colour
    assert not decode(saved(GREY.convert(mode), "JPEG", **options)).in_colour


@pytest.mark.parametrize(
    ("name", "coloured"),
    [("SC_rgb_rle.dcm", True), ("SC_rgb_rle_16bit.dcm", True), ("CT_small.dcm", False)],
)
def test_a_dicom_file_is_by_its_pixels(name: str, coloured: bool) -> None:
    assert (
        decode(Path(get_testdata_file(name, download=False) or "").read_bytes()).in_colour
        is coloured
    )


@pytest.mark.parametrize("tint", [(1.0, 0.95, 0.85), (0.85, 0.93, 1.0), (0.92, 1.0, 0.94)])
def test_the_tint_of_film_or_paper_is_no_colour(tint: tuple[float, float, float]) -> None:
    assert not in_colour(tinted(*tint))


def test_a_strong_tint_is() -> None:
    assert in_colour(tinted(1.0, 0.45, 0.2))


def test_a_viewers_coloured_marks_are_not() -> None:
    assert not in_colour(with_marks())


def test_what_is_transparent_counts_as_black() -> None:
    hidden = hues()
    hidden.putalpha(0)
    assert not in_colour(hidden)
    shown = hues()
    shown.putalpha(255)
    assert in_colour(shown)


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (3000, 2000)])
def test_any_size_will_do(size: tuple[int, int]) -> None:
    assert in_colour(Image.new("RGB", size, (200, 30, 30)))
    assert not in_colour(Image.new("RGB", size, (90, 90, 90)))
