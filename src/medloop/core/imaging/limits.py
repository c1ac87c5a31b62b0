"""Size limits of an upload, checked against its header before anything is decoded."""

from __future__ import annotations

from dataclasses import dataclass

from medloop.errors import DecodeError


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits, checked before decoding. The defaults admit the largest clinical single images."""

    max_bytes: int = 50 * 2**20  # of the file
    max_pixels: int = 64_000_000  # of one frame; a mammogram has 14 million
    max_side: int = 65_000
    max_decoded_bytes: int = 192 * 2**20  # of one frame: pixels × channels × bytes per sample
    max_frames: int = 2_000

    def check_file(self, size_bytes: int) -> None:
        """Refuse a file of this size with a DecodeError if it is too large."""
        if size_bytes > self.max_bytes:
            raise DecodeError(
                f"This file has {size_bytes / 2**20:.1f} MB; "
                f"at most {self.max_bytes / 2**20:.0f} MB are accepted."
            )

    def check(self, *, width: int, height: int, sample_bytes: int = 1) -> None:
        """Refuse a frame of this size; `sample_bytes` are all channels of one pixel.

        Raises:
            DecodeError: Too large, or without any pixel.
        """
        if width < 1 or height < 1:
            raise DecodeError(f"This image has no pixels: its header says {width} × {height}.")
        pixels = width * height
        if pixels > self.max_pixels or max(width, height) > self.max_side:
            raise DecodeError(
                f"This image has {width:,} × {height:,} pixels; "
                f"at most {self.max_pixels:,} are accepted."
            )
        if pixels * sample_bytes > self.max_decoded_bytes:
            raise DecodeError(
                f"This image would take {pixels * sample_bytes / 2**20:,.0f} MB in memory; "
                f"at most {self.max_decoded_bytes / 2**20:,.0f} MB are accepted."
            )

    def check_frame(self, frame: int | None, frames: int, *, default: int) -> int:
        """Choose the frame to read, out of `frames`.

        Raises:
            DecodeError: There is no such frame, or there are too many.
        """
        if frames > self.max_frames:
            raise DecodeError(
                f"This file has {frames:,} frames; at most {self.max_frames:,} are accepted."
            )
        chosen = default if frame is None else frame
        if not 0 <= chosen < frames:
            raise DecodeError(
                f"There is no frame {chosen}: this file has {frames}, counted from 0."
            )
        return chosen
