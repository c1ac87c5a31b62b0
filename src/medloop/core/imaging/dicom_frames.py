"""Stored values out of a DICOM file: one frame, or a line through all of them. Checks each stream before it is decoded.

A cut through a volume needs every frame. They are decoded one at a time and only a line of each is kept, so memory
holds one frame; the work is counted beforehand, since a compressed file of 50 MB may hold a minute of it.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames, get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import as_pixel_options

from medloop.core.imaging.codecs import check_stream, effort, plugin_for
from medloop.core.imaging.dicom_tags import integer
from medloop.core.imaging.limits import Limits

MAX_EFFORT: Final = 24_000_000  # see `codecs.effort`: about 0.6 s
MAX_CUT_PIXELS: Final = (
    16_000_000  # 2,000 frames with lines of 8,000: more is no volume of a patient
)


class TooMuchWorkError(Exception):
    """All frames together take longer to decode than a picture may."""


def decode_frame(dataset: Dataset, frame: int, limits: Limits) -> np.ndarray:
    """Stored values [H, W], or RGB [H, W, 3].

    Raises:
        DecodeError: The stream is not what the header promises.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    plugin = plugin_for(syntax, integer(dataset, "BitsStored", 8))
    options = as_pixel_options(dataset)
    if plugin:
        frames, offsets = integer(dataset, "NumberOfFrames", 1), options.get("extended_offsets")
        _check(
            get_frame(dataset.PixelData, frame, number_of_frames=frames, extended_offsets=offsets),
            dataset,
            limits,
        )
    return get_decoder(syntax).as_array(dataset, index=frame, decoding_plugin=plugin, **options)[0]


def decode_lines(
    dataset: Dataset, frames: int, limits: Limits, *, row: int | None, column: int | None
) -> np.ndarray:
    """The same row, or the same column, of every frame: stored values [N, columns] or [N, rows].

    Raises:
        TooMuchWorkError: It would take too long.
        DecodeError: A stream is not what the header promises. Other exceptions mean damage.
    """
    if frames * integer(dataset, "Rows" if row is None else "Columns", 0) > MAX_CUT_PIXELS:
        raise TooMuchWorkError
    syntax, options = dataset.file_meta.TransferSyntaxUID, as_pixel_options(dataset)
    plugin = plugin_for(syntax, integer(dataset, "BitsStored", 8))
    if plugin:
        _check_all(dataset, frames, limits)
    decoded = get_decoder(syntax).iter_array(
        dataset, decoding_plugin=plugin, view_only=True, **options
    )
    lines = [
        (frame[row] if row is not None else frame[:, column]).copy()
        for frame, _ in islice(decoded, frames)
    ]
    if len(lines) < frames:
        raise ValueError(f"{len(lines)} frames of {frames}")
    return np.stack(lines)


def _check_all(dataset: Dataset, frames: int, limits: Limits) -> None:
    syntax, offsets = (
        dataset.file_meta.TransferSyntaxUID,
        as_pixel_options(dataset).get("extended_offsets"),
    )
    pixels, total = integer(dataset, "Rows", 0) * integer(dataset, "Columns", 0), 0
    streams = generate_frames(dataset.PixelData, number_of_frames=frames, extended_offsets=offsets)
    for stream in islice(streams, frames):
        _check(stream, dataset, limits)
        total += effort(stream, syntax, pixels=pixels)
        if total > MAX_EFFORT:
            raise TooMuchWorkError


def _check(stream: bytes, dataset: Dataset, limits: Limits) -> None:
    rows, columns = integer(dataset, "Rows", 0), integer(dataset, "Columns", 0)
    check_stream(
        bytes(stream),
        dataset.file_meta.TransferSyntaxUID,
        rows=rows,
        columns=columns,
        limits=limits,
    )
