"""JPEG, PNG, BMP, TIFF, WebP and GIF to grey pixels, with Pillow; ordinary JPEGs take a shorter way."""

from __future__ import annotations

import struct
import warnings
from functools import cache
from typing import Final

import imagecodecs
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from medloop.core.imaging.bit_depth import to_levels
from medloop.core.imaging.codestream import END_OF_IMAGE, check_jpeg, read_jpeg_header
from medloop.core.imaging.colour import SIDE, in_colour
from medloop.core.imaging.file_types import Kind
from medloop.core.imaging.limits import Limits
from medloop.core.imaging.picture import Picture
from medloop.core.imaging.read_limit import MeteredReader
from medloop.errors import DecodeError

SAMPLE_BYTES: Final = {
    "1": 1,
    "L": 1,
    "P": 1,
    "LA": 4,
    "PA": 4,
    "I;16": 2,
    "I;16B": 2,
    "I;16L": 2,
}  # others take 4
DEEP_MODES: Final = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
TIFF_PHOTOMETRIC: Final = 262
TIFF_TILE: Final = (322, 323)  # width and length
TIFF_PLAIN_TYPES: Final = (1, 2, 6, 7)  # bytes and text, which Pillow keeps as they are
MAX_TIFF_ENTRIES: Final = 512  # of one directory
MAX_TIFF_VALUES: Final = 200_000  # of one entry


def read(data: bytes, kind: Kind, *, limits: Limits, frame: int | None) -> Picture:
    """The first picture of an image file, or page `frame` of a TIFF.

    Raises:
        DecodeError: Too large, cut off, or no such frame. Other exceptions mean damage.
    """
    _quieten_pillow()
    frames = _tiff_pages(data, limits) if kind == "TIFF" else 1
    chosen = limits.check_frame(frame, frames, default=0)
    try:
        if kind == "JPEG" and (plain := _plain_jpeg(data, limits)):
            return plain
        with Image.open(MeteredReader(data), formats=(kind,)) as image:
            if chosen:
                image.seek(chosen)
            pixels, coloured = _pixels(image, limits)
        coloured = coloured or (kind == "JPEG" and _jpeg_in_colour(data))
        return Picture(pixels, in_colour=coloured, frames=frames, frame=chosen)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DecodeError(
            f"This image is too large; at most {limits.max_pixels:,} pixels are accepted."
        ) from None
    except UnidentifiedImageError:
        raise DecodeError(f"This file starts like a {kind} but its header is damaged.") from None
    except OSError as error:
        if "truncated" in str(error):
            raise DecodeError(f"This {kind} file is cut off: its end is missing.") from None
        raise


@cache
def _quieten_pillow() -> None:
    """Pillow warns of damaged metadata, which nobody reads here, and of sizes that are refused anyway."""
    warnings.filterwarnings("ignore", module=r"PIL\.")


def _pixels(image: Image.Image, limits: Limits) -> tuple[np.ndarray, bool]:
    """Grey pixels, and whether the picture is in colour (see `_jpeg_in_colour` for JPEGs)."""
    limits.check(
        width=image.width, height=image.height, sample_bytes=SAMPLE_BYTES.get(image.mode, 4)
    )
    inverted = False
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]
        tile_width, tile_height = (int(tags.get(tag, 1)) for tag in TIFF_TILE)
        limits.check(width=tile_width, height=tile_height)
        inverted = (
            image.mode in DEEP_MODES and tags.get(TIFF_PHOTOMETRIC) == 0
        )  # Pillow inverts up to 8 bits only
    if image.format == "JPEG":
        image.draft("L", image.size)  # libjpeg leaves the colours out
    image.load()
    coloured = in_colour(image)
    pixels = _grey(_upright(image))
    return 255 - pixels if inverted else pixels, coloured


def _upright(image: Image.Image) -> Image.Image:
    """Turned as EXIF asks. Damaged EXIF is no damage to the picture."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        return image


def _grey(image: Image.Image) -> np.ndarray:
    """Luminance (ITU-R 601); transparent parts are black, as the background of medical images is."""
    if image.mode in DEEP_MODES:
        return to_levels(np.asarray(image))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        black = Image.new("RGBA", rgba.size, (0, 0, 0, 255))
        return np.asarray(Image.alpha_composite(black, rgba).convert("L"))
    if image.mode not in ("1", "L", "P", "RGB"):
        image = image.convert("RGB")
    return np.asarray(image if image.mode == "L" else image.convert("L"))


def _plain_jpeg(data: bytes, limits: Limits) -> Picture | None:
    """An ordinary whole JPEG without EXIF, five times as quick as through Pillow; None for all others.

    libjpeg fills up a file that is cut off with grey and says so in a warning that is lost here, so a file that
    does not end where a JPEG ends is left to Pillow, which refuses it.
    """
    header = read_jpeg_header(data)
    if header is None:
        return None
    check_jpeg(header, data, limits)
    plain = (
        header.precision == 8
        and header.channels in (1, 3)
        and not header.exif
        and data.endswith(END_OF_IMAGE)
    )
    if not plain:
        return None
    pixels = imagecodecs.jpeg8_decode(data, outcolorspace="GRAYSCALE")
    return Picture(pixels, in_colour=header.channels == 3 and _jpeg_in_colour(data))


def _jpeg_in_colour(data: bytes) -> bool:
    """Its chroma at an eighth of the size: libjpeg was asked for luminance alone, which takes a third of the time."""
    with Image.open(MeteredReader(data), formats=("JPEG",)) as image:
        image.draft("YCbCr", (SIDE, SIDE))
        return in_colour(image)


def _tiff_pages(data: bytes, limits: Limits) -> int:
    """How many pages a TIFF has; walks the directories without reading what they point to.

    Raises:
        DecodeError: Directories or entries that no scanner writes, made to keep a reader busy.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    pointer, counter, entry = ("Q", "Q", "HHQ8x") if big else ("I", "H", "HHI4x")
    offset_size, counter_size, entry_size = (
        struct.calcsize(pointer),
        struct.calcsize(counter),
        20 if big else 12,
    )
    at = struct.unpack_from(order + pointer, data, 8 if big else 4)[0]
    pages, seen = 0, set()
    while at and at not in seen and at + counter_size <= len(data) and pages <= limits.max_frames:
        seen.add(at)
        (entries,) = struct.unpack_from(order + counter, data, at)
        start, end = at + counter_size, at + counter_size + entries * entry_size
        if entries > MAX_TIFF_ENTRIES:
            raise DecodeError(
                f"This TIFF has a directory of {entries:,} entries; at most {MAX_TIFF_ENTRIES} are read."
            )
        if end > len(data):
            break
        for _, kind, count in struct.iter_unpack(order + entry, data[start:end]):
            if kind not in TIFF_PLAIN_TYPES and count > MAX_TIFF_VALUES:
                raise DecodeError(
                    f"This TIFF has an entry of {count:,} values; at most {MAX_TIFF_VALUES:,} are read."
                )
        pages += 1
        at = (
            struct.unpack_from(order + pointer, data, end)[0]
            if end + offset_size <= len(data)
            else 0
        )
    return max(pages, 1)
