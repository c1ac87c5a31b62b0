"""Headers of JPEG, JPEG-LS and JPEG 2000 streams, read without decoding the picture."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import imagecodecs
import numpy as np

from medloop.core.imaging.limits import Limits
from medloop.errors import DecodeError

JPEG_LS_FRAME: Final = 0xF7
START_OF_FRAME: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {JPEG_LS_FRAME}
PROGRESSIVE: Final = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
LOSSLESS: Final = frozenset({0xC3, 0xC7, 0xCB, 0xCF, JPEG_LS_FRAME})
EXIF_SEGMENT: Final = 0xE1
ADOBE_SEGMENT: Final = 0xEE
ADOBE_MODELS: Final = {0: "RGB", 1: "YBR_FULL"}  # by the byte `transform`, of three channels
RGB_IDS: Final = (b"RGB", b"rgb")  # of the channels
START_OF_SCAN: Final = b"\xff\xda"
END_OF_IMAGE: Final = b"\xff\xd9"
J2K_START: Final = b"\xff\x4f\xff\x51"
MAX_SCANNED_PIXELS: Final = 300_000_000  # pixels × scans of a JPEG; a scan may visit them all
TAILS: Final = (b"\x55" * 64, b"\xaa" * 64)  # arbitrary continuations of a cut stream
MAX_TILES: Final = 4_096  # of a JPEG 2000 stream; every tile costs the decoder kilobytes


@dataclass(frozen=True, slots=True)
class StreamHeader:
    """Size and coding of the picture in a stream."""

    width: int
    height: int
    channels: int
    precision: int  # bits per sample
    marker: int = 0  # start-of-frame marker; 0 for JPEG 2000
    exif: bool = False
    colour_model: str = ""  # "RGB" or "YBR_FULL", if a JPEG names one
    tiles: int = 1  # of JPEG 2000


def read_jpeg_header(data: bytes) -> StreamHeader | None:
    """Read the header of a JPEG or JPEG-LS stream; None if there is no readable one."""
    at, exif, model = 2, False, ""
    while at + 10 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        segment = data[at + 4 : at + 22]
        exif = exif or marker == EXIF_SEGMENT
        if segment.startswith(b"JFIF\0"):
            model = "YBR_FULL"
        elif marker == ADOBE_SEGMENT and segment.startswith(b"Adobe") and length >= 14:
            model = model or ADOBE_MODELS.get(segment[11], "")
        if marker in START_OF_FRAME:
            precision, height, width, channels = struct.unpack_from(">BHHB", data, at + 4)
            if segment[6:15:3] in RGB_IDS:
                model = model or "RGB"
            return StreamHeader(width, height, channels, precision, marker, exif, model)
        if length < 2:
            return None
        at += 2 + length
    return None


def read_j2k_header(data: bytes) -> StreamHeader | None:
    """Read the header of a JPEG 2000 stream, bare or in a JP2 box; None if unreadable.

    Raises:
        DecodeError: More tiles than any honest encoder makes.
    """
    at = data[:4096].find(J2K_START)
    if at < 0 or at + 43 > len(data):
        return None
    right, bottom, left, top, tile_w, tile_h, tile_x, tile_y, channels, depth = struct.unpack_from(
        ">8IHB", data, at + 8
    )
    if not tile_w or not tile_h:
        return None
    tiles = -(-(right - tile_x) // tile_w) * -(-(bottom - tile_y) // tile_h)
    if tiles > MAX_TILES:
        raise DecodeError(
            f"This JPEG 2000 picture has {tiles:,} tiles; at most {MAX_TILES:,} are read."
        )
    return StreamHeader(right - left, bottom - top, channels, (depth & 0x7F) + 1, tiles=tiles)


def check_jpeg(header: StreamHeader, data: bytes, limits: Limits) -> None:
    """Refuse a JPEG whose decoding would take too much memory or time.

    Raises:
        DecodeError: Says which of the two.
    """
    # A progressive picture's coefficients are kept whole until the last scan.
    coefficients = 2 * header.channels if header.marker in PROGRESSIVE else 0
    samples = header.channels * (1 if header.precision <= 8 else 2)
    limits.check(width=header.width, height=header.height, sample_bytes=samples + coefficients)
    if header.width * header.height * data.count(START_OF_SCAN) > MAX_SCANNED_PIXELS:
        raise DecodeError(
            "This JPEG repeats itself so often that it looks like an attack; it was not read."
        )


def has_end(data: bytes) -> bool:
    """Check a JPEG or JPEG-LS for its end marker, which anything may follow."""
    return END_OF_IMAGE in data[-4:] or data.rfind(END_OF_IMAGE) > data.rfind(START_OF_SCAN)


def completed_jpeg(data: bytes) -> bytes | None:
    """Add the end marker to a checked JPEG that lacks nothing else; None if more is missing.

    libjpeg fills up a file that is cut off, and says so in a warning that is lost. So the stream is
    decoded with two continuations: if pixels are missing, they come out different.
    """
    if has_end(data):
        return data
    whole = data.rstrip(b"\xff")
    try:
        one, other = (imagecodecs.jpeg8_decode(whole + tail + END_OF_IMAGE) for tail in TAILS)
    except RuntimeError:
        return None
    return whole + END_OF_IMAGE if np.array_equal(one, other) else None
