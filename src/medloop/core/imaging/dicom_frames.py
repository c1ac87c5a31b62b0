"""Stored values of a DICOM file: one frame, or a line through all; each stream is checked first.

A cut through a volume needs every frame. They are decoded one at a time and only a line of each is
kept, so memory holds one frame. The work is estimated beforehand, since a compressed file of 50 MB
may hold a minute of it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medloop.core.imaging.bit_depth import CHUNK
from medloop.core.imaging.codecs import Stored, check_stream, decode_stream, effort
from medloop.core.imaging.dicom_tags import Header
from medloop.core.imaging.limits import Limits
from medloop.errors import DecodeError

MAX_EFFORT: Final = 24_000_000  # see `codecs.effort`: about 0.6 s
MAX_CUT_PIXELS: Final = 16_000_000  # 2,000 frames with lines of 8,000; no patient's volume has more
WHOLE_TYPES: Final = (8, 16, 32, 64)  # bits that NumPy has an integer for
ITEM: Final = b"\xfe\xff\x00\xe0"  # starts each piece of compressed pixel data
FRAME_STARTS: Final = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")
PIECES_PER_FRAME: Final = 8  # times `max_frames`; no honest file has more pieces


class TooMuchWorkError(Exception):
    """All frames together take longer to decode than a picture may."""


def decode_frame(header: Header, frame: int, limits: Limits) -> Stored:
    """Decode a frame, signed by PixelRepresentation, without overlays or other unused bits.

    Raises:
        DecodeError: The stream is not what the header promises.
    """
    if header.compressed:
        streams = _streams(header, limits)
        if frame >= len(streams):
            raise DecodeError(
                "The picture in this DICOM file is cut off: "
                f"it has {len(streams)} frames of {header.frames}."
            )
        return _used_bits(decode_stream(streams[frame], header, limits), header)
    return _used_bits(_uncompressed(header, frame), header)


def decode_lines(
    header: Header, limits: Limits, *, row: int | None, column: int | None
) -> np.ndarray:
    """Decode the same row or column of every frame: stored values [N, columns] or [N, rows].

    Raises:
        TooMuchWorkError: It would take too long.
        DecodeError: A stream is not what the header promises. Other exceptions mean damage.
    """
    if header.frames * (header.rows if row is None else header.columns) > MAX_CUT_PIXELS:
        raise TooMuchWorkError
    if not header.compressed:
        frames = (_uncompressed(header, at) for at in range(header.frames))
    else:
        streams = _streams(header, limits)
        if len(streams) < header.frames:
            raise ValueError(f"{len(streams)} frames of {header.frames}")
        _check_effort(streams[: header.frames], header, limits)
        frames = (decode_stream(stream, header, limits) for stream in streams[: header.frames])
    lines = []
    for stored in frames:
        values = _used_bits(stored, header).values
        lines.append((values[row] if row is not None else values[:, column]).copy())
    return np.stack(lines)


def _check_effort(streams: list[bytes], header: Header, limits: Limits) -> None:
    total = 0
    for stream in streams:
        check_stream(stream, header, limits)
        total += effort(stream, header)
        if total > MAX_EFFORT:
            raise TooMuchWorkError


def _streams(header: Header, limits: Limits) -> list[bytes]:
    """Split pixel data into frames; offset tables are wrong more often than they help."""
    pieces = _pieces(header.pixels, PIECES_PER_FRAME * limits.max_frames)
    if header.frames == 1:
        return [b"".join(pieces)]
    if len(pieces) <= header.frames:
        return pieces
    streams: list[list[bytes]] = []
    for piece in pieces:
        if piece.startswith(FRAME_STARTS) or not streams:
            streams.append([])
        streams[-1].append(piece)
    return [b"".join(stream) for stream in streams]


def _pieces(data: bytes, max_pieces: int) -> list[bytes]:
    """Split pixel data into its items, without the first if it is an offset table."""
    at, pieces = 0, []
    while data[at : at + 4] == ITEM:
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        pieces.append(data[at + 8 : end])
        at = end
        if len(pieces) > max_pieces:
            raise DecodeError(
                f"The picture in this DICOM file comes in more than {max_pieces:,} pieces, "
                "too many to be honest."
            )
    without_table = pieces and pieces[0].startswith(FRAME_STARTS)
    return [piece for piece in pieces[0 if without_table else 1 :] if piece]


def _uncompressed(header: Header, frame: int) -> Stored:
    bits, model = header.bits_allocated, header.photometric
    count = header.rows * header.columns * header.samples
    data = header.pixels
    if header.big_endian and header.in_words and bits not in WHOLE_TYPES[1:]:
        data = np.frombuffer(data, "u2", len(data) // 2).byteswap().tobytes()
    # Two pixels share their colour, unless the data are long enough for all.
    if model == "YBR_FULL_422" and len(data) < count * header.frames:
        return Stored(_spread(data, frame, header), bits, model)
    if bits in WHOLE_TYPES:
        dtype = np.dtype(header.float_type or f"u{bits // 8}").newbyteorder(
            ">" if header.big_endian else "<"
        )
        values = np.frombuffer(data, dtype, count, frame * count * dtype.itemsize)
        values = values if dtype.isnative else values.astype(dtype.newbyteorder("="))
    else:
        values = _unpacked(data, frame * count, count, bits)
    return Stored(_in_shape(values, header), bits, model)


def _in_shape(values: np.ndarray, header: Header) -> np.ndarray:
    if header.samples == 1:
        return values.reshape(header.rows, header.columns)
    if header.by_plane:
        return np.moveaxis(values.reshape(header.samples, header.rows, header.columns), 0, 2)
    return values.reshape(header.rows, header.columns, header.samples)


def _unpacked(data: bytes, start: int, count: int, bits: int) -> np.ndarray:
    """Unpack values `start` to `start + count` of a row of bits, lowest bit first (PS3.5 8.1.1)."""
    values = np.empty(count, np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32)
    step = CHUNK // 8 * 8
    for at in range(0, count, step):
        n, (first, left) = min(step, count - at), divmod((start + at) * bits, 8)
        piece = np.frombuffer(data, np.uint8)[first : first + (left + n * bits + 7) // 8]
        unpacked = np.unpackbits(piece, bitorder="little")[left : left + n * bits]
        values[at : at + n] = unpacked.reshape(n, bits) @ (1 << np.arange(bits, dtype=np.uint32))
    return values


def _spread(data: bytes, frame: int, header: Header) -> np.ndarray:
    """Expand YBR_FULL_422, bytes Y1 Y2 B R per two pixels (PS3.3 C.7.6.3.1.2)."""
    shape = (header.rows, header.columns // 2, 4)
    pairs = np.frombuffer(data, np.uint8, np.prod(shape), frame * np.prod(shape)).reshape(shape)
    values = np.empty((header.rows, header.columns // 2 * 2, 3), np.uint8)
    values[:, ::2, 0], values[:, 1::2, 0] = pairs[..., 0], pairs[..., 1]
    values[..., 1:] = pairs[..., 2:].repeat(2, axis=1)
    return values


def _used_bits(stored: Stored, header: Header) -> Stored:
    """Keep the BitsStored bits below HighBit; others are overlays or nothing (PS3.5 8.1.1)."""
    values = stored.values
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.dtype.kind == "f":
        return Stored(values, stored.precision, stored.photometric)
    size = values.itemsize
    bits = min(header.bits_stored or stored.precision, stored.precision)
    shift = max(0, min(header.high_bit + 1, stored.precision) - bits)
    signed_stream = values.dtype.kind == "i"  # of JPEG 2000
    values = values.view(f"u{size}")
    if signed_stream and not header.signed:
        values = values ^ values.dtype.type(1 << (bits + shift - 1))  # the lowest becomes 0
    if header.signed and values.ndim == 2:
        values = (values << (8 * size - bits - shift)).view(f"i{size}") >> (8 * size - bits)
    elif bits + shift < 8 * size or shift:
        values = (values >> shift) & values.dtype.type((1 << bits) - 1)
    return Stored(values, bits, stored.photometric)
