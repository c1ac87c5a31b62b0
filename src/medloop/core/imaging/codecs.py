"""Decoders of compressed DICOM, as plug-ins of pydicom; which one reads which transfer syntax.

GDCM is not among them: of single JPEG, JPEG Lossless and JPEG-LS streams with a few bytes changed, 1 to 2 in 100
ended the whole process (docs/adr/0003). imagecodecs wraps libjpeg-turbo, CharLS and OpenJPEG, survived the same
streams, and reads 12-bit JPEG Extended, which GDCM and Pillow do not. One plug-in is named for each syntax, so
that what else is installed changes nothing.
"""

from __future__ import annotations

import struct
from threading import Lock
from typing import TYPE_CHECKING, Final

import imagecodecs
import numpy as np
from pydicom import uid
from pydicom.pixels.decoders.base import get_decoder

from medloop.core.imaging.codestream import (
    END_OF_IMAGE,
    START_OF_SCAN,
    StreamHeader,
    check_jpeg,
    read_j2k_header,
    read_jpeg_header,
)
from medloop.core.imaging.limits import Limits
from medloop.errors import DecodeError

if TYPE_CHECKING:
    from pydicom.pixels.decoders.base import DecodeRunner

PLUGIN: Final = "medloop"
JPEG_8_BIT: Final = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit)
JPEG: Final = (*JPEG_8_BIT, uid.JPEGLossless, uid.JPEGLosslessSV1)
JPEG_LS: Final = (uid.JPEGLSLossless, uid.JPEGLSNearLossless)
JPEG_2000: Final = (
    uid.JPEG2000Lossless,
    uid.JPEG2000,
    uid.HTJ2KLossless,
    uid.HTJ2KLosslessRPCL,
    uid.HTJ2K,
)
OURS: Final = (
    uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1, *JPEG_LS, *JPEG_2000, uid.RLELossless,
)  # fmt: skip
UNCOMPRESSED: Final = (
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
)
RLE_HEADER: Final = struct.Struct("<16I")  # how many segments, where each starts
DECODER_DEPENDENCIES: Final = dict.fromkeys(
    OURS, ("imagecodecs",)
)  # pydicom asks a plug-in for this name

_registering = Lock()


def is_available(syntax: str) -> bool:
    """Whether this plug-in reads a transfer syntax; pydicom asks."""
    return syntax in OURS


def plugin_for(syntax: uid.UID, bits_stored: int) -> str:
    """Name of the one plug-in that reads `syntax`; registers ours with pydicom on first use. "" if uncompressed.

    Raises:
        DecodeError: There is none.
    """
    if syntax in UNCOMPRESSED:
        return ""
    if syntax in JPEG_8_BIT and bits_stored <= 8:
        return "pillow"  # leaves colours as they are stored, which pydicom then converts by the file's own words
    if syntax not in OURS:
        name = (
            syntax.name if syntax.is_transfer_syntax and not syntax.is_private else "an unknown one"
        )
        raise DecodeError(
            f"The picture in this DICOM file is stored in a way that cannot be read ({name})."
        )
    decoder = get_decoder(syntax)
    with _registering:
        if PLUGIN not in decoder.available_plugins:
            decoder.add_plugin(PLUGIN, (__name__, "decode_frame"))
    return PLUGIN


def check_stream(
    stream: bytes, syntax: uid.UID, *, rows: int, columns: int, limits: Limits
) -> None:
    """Refuse a compressed frame that does not hold what the DICOM header promises, before it is decoded.

    Raises:
        DecodeError: Another size, no readable header, or too much work.
    """
    header: StreamHeader | None = None
    if syntax in (*JPEG, *JPEG_LS):
        header = read_jpeg_header(stream)
        if header is not None:
            check_jpeg(header, stream, limits)
        # A stream that is cut off comes back filled up with grey, and CharLS may count its missing zeros for seconds.
        if (
            syntax in OURS and END_OF_IMAGE not in stream.rstrip(b"\0\xff")[-4:]
        ):  # both are met as padding
            raise DecodeError(
                "The compressed picture in this DICOM file is cut off: its end is missing."
            )
    elif syntax in JPEG_2000:
        header = read_j2k_header(stream)
    else:
        return
    if header is None:
        raise DecodeError(
            "The compressed picture in this DICOM file is damaged: its header cannot be read."
        )
    sample_bytes = header.channels * (
        1 if header.precision <= 8 else 2 if header.precision <= 16 else 4
    )
    limits.check(width=header.width, height=header.height, sample_bytes=sample_bytes)
    if (header.height, header.width) != (rows, columns):
        raise DecodeError(
            f"This DICOM file contradicts itself: its header says {columns} × {rows} pixels, "
            f"its compressed picture {header.width} × {header.height}."
        )


def effort(stream: bytes, syntax: uid.UID, *, pixels: int) -> int:
    """What a checked frame costs to decode, in units of about 25 ns: a pixel of JPEG-LS, a quarter byte of JPEG 2000.

    Measured on noise, empty pictures and tiny tiles, the worst of each kind; 4,000 are the calls around it.
    """
    if syntax in JPEG_2000:
        header = read_j2k_header(stream)
        return 4_000 + pixels + 4 * len(stream) + 250 * (header.tiles if header else 1)
    scans = stream.count(START_OF_SCAN) if syntax in JPEG else 1
    return 4_000 + pixels * max(scans, 1)


def decode_frame(stream: bytes, runner: DecodeRunner) -> bytes:
    """One frame, as pydicom expects it of a plug-in: its bytes, and the options of the runner that describe them."""
    syntax = runner.transfer_syntax
    if syntax == uid.RLELossless:
        runner.set_option("planar_configuration", 1)
        return _unpack_rle(stream, runner)
    if syntax in JPEG_2000:
        frame = imagecodecs.jpeg2k_decode(stream)
        if runner.photometric_interpretation in ("YBR_ICT", "YBR_RCT"):
            runner.set_option(
                "photometric_interpretation", "RGB"
            )  # OpenJPEG has undone the transform
    elif syntax in JPEG_LS:
        frame = imagecodecs.jpegls_decode(stream)
    else:
        frame = imagecodecs.jpeg8_decode(stream)
    runner.set_option("bits_allocated", 8 * frame.dtype.itemsize)
    if runner.samples_per_pixel > 1:
        runner.set_option("planar_configuration", 0)
    return np.ascontiguousarray(frame).tobytes()


def _unpack_rle(stream: bytes, runner: DecodeRunner) -> bytes:
    """RLE Lossless (PS3.5 G): a PackBits segment for each byte of each sample, the most significant first.

    pydicom's own decoder takes a step of Python for each run, which is seconds for a hostile frame.
    """
    pixels, sample_bytes = runner.rows * runner.columns, runner.bits_allocated // 8
    count, *starts = RLE_HEADER.unpack_from(stream)
    if count != runner.samples_per_pixel * sample_bytes:
        raise ValueError(
            f"{count} segments for {runner.samples_per_pixel} samples of {sample_bytes} bytes"
        )
    ends = [*starts[1:count], len(stream)]
    planes = np.empty((runner.samples_per_pixel, pixels, sample_bytes), np.uint8)
    for i in range(count):
        plane = _unpack_bits(stream[starts[i] : ends[i]], pixels)
        planes[i // sample_bytes, :, sample_bytes - 1 - i % sample_bytes] = plane
    return planes.tobytes()


def _unpack_bits(segment: bytes, size: int) -> np.ndarray:
    """Exactly `size` bytes. A segment of odd length has a padding byte, which PackBits takes for a broken run."""
    try:
        unpacked = imagecodecs.packbits_decode(segment, out=size + 1)
    except imagecodecs.ImcdError:
        unpacked = imagecodecs.packbits_decode(segment[:-1], out=size + 1)
    return np.frombuffer(unpacked, np.uint8, count=size)
