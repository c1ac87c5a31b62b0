"""JPEG, PNG, BMP, TIFF, WebP and GIF to grey pixels.

Pillow reads most of them. imagecodecs and tifffile read what Pillow cuts to 8 bits or does not
know; imagecodecs also reads ordinary JPEGs, because it is faster.
"""

from __future__ import annotations

import logging
import struct
import warnings
import zlib
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Final

import imagecodecs
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from medloop.core.imaging.bit_depth import narrowed, robust_range, scale, to_levels
from medloop.core.imaging.codestream import (
    END_OF_IMAGE,
    JPEG_LS_FRAME,
    LOSSLESS,
    StreamHeader,
    check_jpeg,
    completed_jpeg,
    has_end,
    read_jpeg_header,
)
from medloop.core.imaging.colour import SIDE, in_colour
from medloop.core.imaging.file_types import Kind
from medloop.core.imaging.limits import Limits
from medloop.core.imaging.picture import ImageInfo
from medloop.core.imaging.read_limit import MeteredReader
from medloop.errors import DecodeError

if TYPE_CHECKING:
    import tifffile

SAMPLE_BYTES: Final = {"1": 1, "L": 1, "P": 1, "LA": 4, "PA": 4, "I;16": 2}  # others take 4
DEEP_MODES: Final = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
LUMINANCE: Final = (19595, 38470, 7471)  # of 65,536: ITU-R 601, as Pillow has it
ORIENTATION: Final = 0x0112
PNG_START: Final = 8  # bytes before the first chunk
DEEP_PNG: Final = ((16, 2), (16, 4), (16, 6))  # bits and colour type: Pillow cuts these to 8 bits
PNG_KEPT: Final = (b"tRNS", b"eXIf")  # ancillary chunks that change the picture
TIFF_WHITE_IS_ZERO, TIFF_RGB = 0, 2  # photometric interpretations
TIFF_GREY_AND_RGB: Final = (TIFF_WHITE_IS_ZERO, 1, TIFF_RGB)
TIFF_TILE: Final = (322, 323)  # width and length
TIFF_PLAIN_TYPES: Final = (1, 2, 6, 7)  # bytes and text, which Pillow keeps as they are
TIFF_COMPRESSIONS: Final = (1, 5, 8, 32_773, 32_946)  # none, LZW, Deflate, PackBits: bounded output
TIFF_WEBP: Final = 50_001  # which Pillow's libtiff lacks
UNSUPPORTED: Final = "This {} file is of a kind that is not supported."
BMP_PADDING: Final = bytes(3)  # behind the last row at most; some writers leave it out
MAX_TIFF_ENTRIES: Final = 512  # of one directory
MAX_TIFF_VALUES: Final = 200_000  # of one entry
MAX_TIFF_PIECES: Final = 20_000  # strips or tiles of a deep TIFF, each a step of Python
UNASSOCIATED_ALPHA: Final = (2,)  # of a TIFF's extra samples


def read(
    data: bytes, kind: Kind, *, limits: Limits, frame: int | None
) -> tuple[np.ndarray, ImageInfo]:
    """Read the first picture of an image file, or page `frame` of a TIFF.

    Raises:
        DecodeError: Too large, cut off, or no such frame. Other exceptions mean damage.
    """
    _quieten_libraries()
    frames = _tiff_pages(data, limits) if kind == "TIFF" else 1
    chosen = limits.check_frame(frame, frames, default=0)
    try:
        found = None
        if kind == "JPEG":
            found = _direct_jpeg(data, limits)
        elif kind == "TIFF":
            found = _deep_tiff(data, chosen, limits)
        pixels, coloured = found or _through_pillow(data, kind, chosen, limits)
        return pixels, ImageInfo(in_colour=coloured, frames=frames, frame=chosen)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DecodeError(
            f"This image is too large; at most {limits.max_pixels:,} pixels are accepted."
        ) from None
    except UnidentifiedImageError:
        if kind == "TIFF" and _tiff_page(data, chosen):
            raise DecodeError(UNSUPPORTED.format(kind)) from None
        raise DecodeError(f"This file starts like a {kind} but its header is damaged.") from None
    except (OSError, ValueError) as error:
        if "upported" in str(error):
            raise DecodeError(UNSUPPORTED.format(kind)) from None
        if "truncated" not in str(error):
            raise
        whole = completed_jpeg(data) if kind == "JPEG" else None
        if whole in (None, data):
            raise DecodeError(f"This {kind} file is cut off: its end is missing.") from None
        return read(whole, kind, limits=limits, frame=frame)


@cache
def _quieten_libraries() -> None:
    """Silence Pillow and tifffile, which warn of unused metadata and of sizes refused anyway."""
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)


def _through_pillow(data: bytes, kind: Kind, page: int, limits: Limits) -> tuple[np.ndarray, bool]:
    """Decode grey pixels, and tell whether the picture is in colour."""
    header = read_jpeg_header(data) if kind == "JPEG" else None
    if kind == "PNG":
        data = _whole_chunks(data)
    elif kind == "BMP":
        data += BMP_PADDING
    with Image.open(MeteredReader(data), formats=(kind,)) as image:
        if page:
            image.seek(page)
        deep = kind == "PNG" and (data[24], data[25]) in DEEP_PNG
        sample_bytes = 8 if deep else SAMPLE_BYTES.get(image.mode, 4)
        limits.check(width=image.width, height=image.height, sample_bytes=sample_bytes)
        if deep:
            orientation = image.getexif().get(ORIENTATION, 1)
            return _seen(imagecodecs.png_decode(data), orientation=orientation)
        if kind == "TIFF":
            tags = image.tag_v2  # type: ignore[attr-defined]
            tile_width, tile_height = (int(tags.get(tag, 1)) for tag in TIFF_TILE)
            limits.check(width=tile_width, height=tile_height)
        if header and header.colour_model != "RGB":
            image.draft("L", image.size)  # libjpeg leaves the colours out
        image.load()
        shown = _upright(image)
        if shown.mode == "La":
            shown = shown.convert("LA")
        elif kind == "BMP" and shown.mode == "RGBA" and not shown.getchannel("A").getbbox():
            shown = shown.convert("RGB")  # its writer left alpha unset
        return _grey(shown), _jpeg_in_colour(data, header) if header else in_colour(shown)


def _upright(image: Image.Image) -> Image.Image:
    """Turn the picture as EXIF asks. Damaged EXIF is no damage to the picture."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        return image


def _grey(image: Image.Image) -> np.ndarray:
    """Take the luminance (ITU-R 601); transparent parts become black, as in medical images."""
    if image.mode in DEEP_MODES:
        return to_levels(np.asarray(image))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        black = Image.new("RGBA", rgba.size, (0, 0, 0, 255))
        return np.asarray(Image.alpha_composite(black, rgba).convert("L"))
    if image.mode not in ("1", "L", "P", "RGB"):
        image = image.convert("RGB")
    return np.asarray(image if image.mode == "L" else image.convert("L"))


def _seen(values: np.ndarray, *, orientation: int = 1) -> tuple[np.ndarray, bool]:
    """Turn values [H, W] or [H, W, 1 to 4] of any type grey, and tell whether they are in colour.

    Deep colours are scaled as deep grey is, by their luminance.
    """
    values = values[..., None] if values.ndim == 2 else values
    n = 3 if values.shape[2] > 2 else 1
    colours, alpha = values[..., :n], values[..., n : n + 1]
    narrow = narrowed(colours)
    if narrow is None:
        luminance = _luminance(colours)
        if alpha.size:
            luminance = luminance * (alpha[..., 0] / max(alpha.max(), 1e-9))
        ends = robust_range(luminance)
        grey, narrow = scale(luminance, *ends), scale(colours, *ends) if n == 3 else None
        coloured = narrow is not None and in_colour(Image.fromarray(narrow))
    else:
        levels = np.rint(alpha * (255.0 / max(alpha.max(initial=0), 1e-9))).astype(np.uint8)
        all_levels = np.concatenate([narrow, levels], axis=2)
        image = Image.fromarray(all_levels[..., 0] if all_levels.shape[2] == 1 else all_levels)
        grey, coloured = _grey(image), in_colour(image)
    turned = Image.fromarray(grey)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    turned.info["exif"] = exif.tobytes()
    return np.asarray(_upright(turned)), coloured


def _luminance(colours: np.ndarray) -> np.ndarray:
    if colours.shape[2] == 1:
        return colours[..., 0]
    if colours.dtype == np.uint16:
        return (colours @ np.array(LUMINANCE, np.uint32) + 0x8000) >> 16
    return colours @ (np.array(LUMINANCE, np.float32) / 65_536)


def _direct_jpeg(data: bytes, limits: Limits) -> tuple[np.ndarray, bool] | None:
    """Decode a whole JPEG without EXIF, five times as fast as Pillow, or one that it cannot read.

    Return None for all others. libjpeg fills a cut-off file with grey, with a warning that is lost
    here. So a file without a JPEG's end is left to Pillow, which refuses it.
    """
    header = read_jpeg_header(data)
    if header is None:
        return None
    check_jpeg(header, data, limits)
    if header.marker in LOSSLESS or header.precision != 8:
        if not has_end(data):
            raise OSError("truncated")
        ls = header.marker == JPEG_LS_FRAME
        values = imagecodecs.jpegls_decode(data) if ls else imagecodecs.jpeg8_decode(data)
        if header.precision < 8:
            values = scale(values, 0, 2**header.precision - 1)
        return _seen(values)
    if not data.endswith(END_OF_IMAGE) or header.exif or header.channels not in (1, 3):
        return None
    return imagecodecs.jpeg8_decode(data, outcolorspace="GRAYSCALE"), _jpeg_in_colour(data, header)


def _jpeg_in_colour(data: bytes, header: StreamHeader) -> bool:
    """Check a shrunk chroma, since decoding luminance alone takes a third of the time."""
    if header.channels == 1:
        return False
    with Image.open(MeteredReader(data), formats=("JPEG",)) as image:
        image.draft("RGB" if header.colour_model == "RGB" else "YCbCr", (SIDE, SIDE))
        return in_colour(image)


def _whole_chunks(data: bytes) -> bytes:
    """Drop ancillary chunks of a PNG that are damaged or not read."""
    kept, at = [data[:PNG_START]], PNG_START
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 12 + length
        name, body = data[at + 4 : at + 8], data[at + 4 : end - 4]
        damaged = end > len(data) or zlib.crc32(body) != int.from_bytes(data[end - 4 : end], "big")
        if name[:1].isupper() or (name in PNG_KEPT and not damaged):
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


def _deep_tiff(data: bytes, number: int, limits: Limits) -> tuple[np.ndarray, bool] | None:
    """Read a TIFF of over 8 bits, signed integers or floats, which Pillow cannot; else None."""
    page = _tiff_page(data, number)
    if page is None:  # Pillow says what is wrong
        return None
    if page.compression == TIFF_WEBP:
        raise DecodeError(UNSUPPORTED.format("TIFF"))
    dtype = page.dtype
    plain = dtype is None or dtype in (np.uint8, np.bool_) or dtype.kind not in "iuf"
    if dtype is None or plain or page.photometric not in TIFF_GREY_AND_RGB:
        return None
    planes, depth, height, width, samples = page.shaped
    if (
        page.compression not in TIFF_COMPRESSIONS
        or len(page.dataoffsets) > MAX_TIFF_PIECES
        or depth > 1
    ):
        raise DecodeError("This TIFF packs its deep pixels in a way that is not supported.")
    for sides in ((width, height), (page.tilewidth or 1, page.tilelength or 1)):
        sample_bytes = planes * samples * max(dtype.itemsize, 2)
        limits.check(width=sides[0], height=sides[1], sample_bytes=sample_bytes)
    values = np.moveaxis(page.asarray(maxworkers=1).reshape(page.shaped)[:, 0], 0, 2)
    used = (3 if page.photometric == TIFF_RGB else 1) + (
        page.extrasamples[:1] == UNASSOCIATED_ALPHA
    )
    values = values.reshape(height, width, -1)[..., :used]
    grey, coloured = _seen(values, orientation=page.tags.valueof(ORIENTATION, 1))
    return 255 - grey if page.photometric == TIFF_WHITE_IS_ZERO else grey, coloured


def _tiff_page(data: bytes, number: int) -> tifffile.TiffPage | None:
    """Read the tags of a page that has a size; None if they are damaged."""
    import tifffile  # takes long to import, and few need it

    try:
        page = tifffile.TiffFile(MeteredReader(data)).pages[number].aspage()
    except DecodeError:
        raise
    except Exception:  # of many types
        return None
    return page if page.imagewidth and page.imagelength else None


def _tiff_pages(data: bytes, limits: Limits) -> int:
    """Count the pages of a TIFF by its directories, without reading what they point to.

    Raises:
        DecodeError: Directories or entries that no scanner writes, made to keep a reader busy.
    """
    order, big = "<" if data[:2] == b"II" else ">", data[2:4] in (b"+\0", b"\0+")
    codes = ("Q", "Q", "HHQ8x") if big else ("I", "H", "HHI4x")
    pointer, counter, entry = (struct.Struct(order + code) for code in codes)
    at = pointer.unpack_from(data, 8 if big else 4)[0]
    pages, seen = 0, set()
    while at and at not in seen and at + counter.size <= len(data) and pages <= limits.max_frames:
        seen.add(at)
        (entries,) = counter.unpack_from(data, at)
        if entries > MAX_TIFF_ENTRIES:
            raise DecodeError(
                f"This TIFF has a directory of {entries:,} entries; "
                f"at most {MAX_TIFF_ENTRIES} are read."
            )
        start = at + counter.size
        end = start + entries * entry.size
        if end > len(data):
            break
        _check_tiff_entries(entry.iter_unpack(data[start:end]))
        pages += 1
        at = pointer.unpack_from(data, end)[0] if end + pointer.size <= len(data) else 0
    return max(pages, 1)


def _check_tiff_entries(entries: Iterable[tuple[int, int, int]]) -> None:
    for _, kind, count in entries:
        if kind not in TIFF_PLAIN_TYPES and count > MAX_TIFF_VALUES:
            raise DecodeError(
                f"This TIFF has an entry of {count:,} values; at most {MAX_TIFF_VALUES:,} are read."
            )
