"""Decoders of compressed DICOM frames; which one reads which transfer syntax.

GDCM is not among them: of single JPEG, JPEG Lossless and JPEG-LS streams with a few bytes changed,
1 to 2 in 100 ended the whole process (docs/adr/0003). imagecodecs wraps libjpeg-turbo, CharLS and
OpenJPEG, survived the same streams, and reads 12-bit JPEG Extended, which GDCM and Pillow do not.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import imagecodecs
import numpy as np
from pydicom import uid

from medloop.core.imaging.codestream import (
    JPEG_LS_FRAME,
    LOSSLESS,
    START_OF_SCAN,
    StreamHeader,
    check_jpeg,
    completed_jpeg,
    has_end,
    read_j2k_header,
    read_jpeg_header,
)
from medloop.core.imaging.dicom_tags import Header
from medloop.core.imaging.limits import Limits
from medloop.errors import DecodeError

JPEG: Final = (
    uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1,
)  # fmt: skip
JPEG_LS: Final = (uid.JPEGLSLossless, uid.JPEGLSNearLossless)
JPEG_2000: Final = (
    uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K,
)  # fmt: skip
COMPRESSED: Final = (*JPEG, *JPEG_LS, *JPEG_2000, uid.RLELossless)
RLE_HEADER: Final = struct.Struct("<16I")  # how many segments, where each starts
RLE_PADDING: Final = (0, 1, 2)  # bytes behind a segment, of any value


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A frame as it was stored."""

    values: np.ndarray  # [H, W], or colours [H, W, 3]; of any integer or float type
    precision: int  # bits of a value that may be other than 0
    photometric: str  # what the values mean; what a stream says of itself overrules the file


def check_syntax(syntax: uid.UID) -> None:
    """Raise DecodeError for a transfer syntax that nothing here reads."""
    if syntax not in COMPRESSED:
        known = syntax.is_transfer_syntax and not syntax.is_private
        raise DecodeError(
            "The picture in this DICOM file is stored in a way that is not supported "
            f"({syntax.name if known else 'an unknown one'})."
        )


def check_stream(stream: bytes, header: Header, limits: Limits) -> StreamHeader | None:
    """Refuse a compressed frame that does not hold what the DICOM header promises, before it is decoded.

    Raises:
        DecodeError: Another size, no readable header, or too much work.
    """
    if header.syntax == uid.RLELossless:
        return None
    found = (read_j2k_header if header.syntax in JPEG_2000 else read_jpeg_header)(stream)
    if found is None:
        raise DecodeError(
            "The compressed picture in this DICOM file is damaged: its header cannot be read."
        )
    if header.syntax not in JPEG_2000:
        check_jpeg(found, stream, limits)
    sample_bytes = found.channels * (
        1 if found.precision <= 8 else 2 if found.precision <= 16 else 4
    )
    limits.check(width=found.width, height=found.height, sample_bytes=sample_bytes)
    if (found.height, found.width) != (header.rows, header.columns):
        raise DecodeError(
            f"This DICOM file contradicts itself: its header says {header.columns} × {header.rows} "
            f"pixels, its compressed picture {found.width} × {found.height}."
        )
    return found


def effort(stream: bytes, header: Header) -> int:
    """What a checked frame costs to decode, in units of about 25 ns: a pixel of JPEG-LS, a quarter byte of JPEG 2000.

    Measured on noise, empty pictures and tiny tiles, the worst of each kind; 4,000 are the calls around it.
    """
    pixels = header.rows * header.columns
    if header.syntax in JPEG_2000:
        found = read_j2k_header(stream)
        return 4_000 + pixels + 4 * len(stream) + 250 * (found.tiles if found else 1)
    scans = stream.count(START_OF_SCAN) if header.syntax in JPEG else 1
    return 4_000 + pixels * max(scans, 1)


def decode_stream(stream: bytes, header: Header, limits: Limits) -> Stored:
    """Decode one compressed frame.

    Raises:
        DecodeError: The stream is not what the header promises. Other exceptions mean damage.
    """
    found = check_stream(stream, header, limits)
    photometric = header.photometric
    if found is None:
        values = _unpack_rle(stream, header)
        return Stored(values, 8 * values.itemsize, photometric)
    if header.syntax in JPEG_2000:
        values = imagecodecs.jpeg2k_decode(stream)
        if photometric in ("YBR_ICT", "YBR_RCT"):  # OpenJPEG has undone the transform
            photometric = "RGB"
    elif found.marker == JPEG_LS_FRAME:
        values = imagecodecs.jpegls_decode(_whole(stream, found))
    else:
        values, photometric = _decode_jpeg(stream, found, photometric)
    return Stored(values, found.precision, photometric)


def _whole(stream: bytes, found: StreamHeader) -> bytes:
    """The stream with its end, which some writers forget; CharLS may count what is missing for seconds."""
    whole: bytes | None = stream
    if not has_end(stream):
        whole = None if found.marker == JPEG_LS_FRAME else completed_jpeg(stream)
    if whole is None:
        raise DecodeError(
            "The compressed picture in this DICOM file is cut off: its end is missing."
        )
    return whole


def _decode_jpeg(stream: bytes, found: StreamHeader, photometric: str) -> tuple[np.ndarray, str]:
    """The values as they are coded, and the colour model that the stream names, else `photometric`."""
    if found.channels != 3 or found.marker in LOSSLESS:
        return imagecodecs.jpeg8_decode(_whole(stream, found)), photometric
    model = found.colour_model or ("RGB" if photometric == "RGB" else "YBR_FULL")
    whole = _whole(stream, found)  # named the same twice, colours stay as they are
    return imagecodecs.jpeg8_decode(whole, colorspace="YCBCR", outcolorspace="YCBCR"), model


def _unpack_rle(stream: bytes, header: Header) -> np.ndarray:
    """RLE Lossless (PS3.5 G): a PackBits segment for each byte of each sample, the most significant first.

    pydicom's own decoder takes a step of Python for each run, which is seconds for a hostile frame.
    """
    count, *starts = RLE_HEADER.unpack_from(stream)
    sample_bytes = count // header.samples
    if sample_bytes not in (1, 2, 4, 8) or count != header.samples * sample_bytes:
        raise ValueError(f"{count} segments for {header.samples} samples")
    ends = [*starts[1:count], len(stream)]
    planes = np.empty((header.rows, header.columns, count), np.uint8)
    for i in range(count):
        plane = _unpack_bits(stream[starts[i] : ends[i]], header.rows * header.columns)
        at = i - i % sample_bytes + sample_bytes - 1 - i % sample_bytes
        planes[..., at] = plane.reshape(header.rows, header.columns)
    values = planes.view(f"<u{sample_bytes}")
    return values[..., 0] if header.samples == 1 else values


def _unpack_bits(segment: bytes, size: int) -> np.ndarray:
    """Exactly `size` bytes. The padding behind a segment may look like a broken run."""
    for padding in RLE_PADDING:
        try:
            unpacked = imagecodecs.packbits_decode(segment[: len(segment) - padding], out=size + 1)
        except RuntimeError:
            continue
        return np.frombuffer(unpacked, np.uint8, count=size)
    raise ValueError("a segment that is no PackBits")
