"""Modality and values-of-interest transforms of stored DICOM values (PS3.3 C.11.1, C.11.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from medloop.core.imaging.bit_depth import CHUNK, robust_range

TABLE_CHUNK: Final = 1 << 16  # pixels whose indices stay in the cache
MAX_TABLE: Final = 1 << 17  # a wider range of stored values is computed pixel by pixel
MAX_ENTRIES: Final = 65_536  # of a palette
DISCRETE, LINEAR, INDIRECT = 0, 1, 2  # kinds of its segments
VoiFunction = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]


@dataclass(frozen=True, slots=True)
class Lut:
    """A lookup table of the file."""

    first: int  # the value that the first entry is for
    entries: np.ndarray  # float64
    top: float  # the highest value an entry can have

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Look up values; those below and above the table take its first and last entry."""
        at = np.clip(np.nan_to_num(values) - self.first, 0, len(self.entries) - 1)
        found: np.ndarray = self.entries[at.astype(np.intp)]
        return found


def make_lut(descriptor: np.ndarray, words: np.ndarray, *, signed: bool) -> Lut | None:
    """Make a table from its three-word descriptor and its words uint16 [N]; None if unusable.

    8-bit tables may pack two entries into a word. `signed` tells if the looked-up values may be.
    """
    if len(descriptor) != 3 or not words.size or not 1 <= (bits := int(descriptor[2])) <= 16:
        return None
    count = int(descriptor[0]) or 65_536
    entries = words.astype("<u2").view(np.uint8) if bits <= 8 and len(words) < count else words
    first = int(descriptor[1])
    entries = entries[:count].astype(np.float64)
    # Some writers declare 16 bits and use 12: the table's own maximum tells.
    top = max(float(entries.max()), 1.0) if bits > 8 else float(2**bits - 1)
    return Lut(first - 65_536 if signed and first > 32_767 else first, entries, top)


def expand_segments(words: np.ndarray, *, bits: int) -> np.ndarray:
    """Expand a segmented palette to its entries uint16 [N] (PS3.3 C.7.9.2).

    Raises:
        ValueError: Segments of an unknown kind.
    """
    data = words.astype("<u2").view(np.uint8) if bits <= 8 else words.astype("<u2")
    found: list[int] = []
    at = 0
    while at + 2 < len(data) and len(found) < MAX_ENTRIES:
        if data[at] == INDIRECT:  # a number of segments from elsewhere, repeated
            ends = at + 2 + 4 // data.itemsize
            again = int.from_bytes(data[at + 2 : ends].tobytes(), "little") // data.itemsize
            for _ in range(int(data[at + 1])):
                again = _expand_segment(data, again, found)
            at = ends
        else:
            at = _expand_segment(data, at, found)
    return np.array(found[:MAX_ENTRIES], np.uint16)


def _expand_segment(data: np.ndarray, at: int, found: list[int]) -> int:
    """Append a discrete or linear segment of 1 entry or more; return the start of the next one."""
    kind, count = (int(value) for value in data[at : at + 2])
    if count == 0 or len(found) > MAX_ENTRIES or kind not in (DISCRETE, LINEAR):
        raise ValueError(f"a segment of kind {kind} and {count} entries")
    if kind == DISCRETE:
        found += data[at + 2 : at + 2 + count].tolist()
        return at + 2 + count
    found += np.rint(np.linspace(found[-1], int(data[at + 2]), count + 1)[1:]).astype(int).tolist()
    return at + 3


@dataclass(frozen=True, slots=True)
class Window:
    """A range of modality values, from black to white."""

    centre: float
    width: float
    function: VoiFunction = "LINEAR"

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Map values to levels from 0 to 255, as floats."""
        centre, width = self.centre, self.width
        if self.function == "SIGMOID":
            # np.exp overflows to infinity far below the window, which gives the right 0.
            with np.errstate(over="ignore"):
                return 255.0 / (1.0 + np.exp(-4.0 * (values - centre) / width))
        if self.function == "LINEAR":
            centre, width = centre - 0.5, max(width - 1.0, 1e-9)
        return np.clip(((values - centre) / width + 0.5) * 255.0, 0.0, 255.0)


@dataclass(frozen=True, slots=True)
class Modality:
    """The map from stored values to the modality's: a table, else slope and intercept."""

    slope: float = 1.0
    intercept: float = 0.0
    lut: Lut | None = None

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return self.lut(values) if self.lut else values * self.slope + self.intercept


def between(low: float, high: float) -> Window:
    """Make the window from `low` (black) to `high` (white)."""
    return Window((low + high) / 2, max(high - low, 1e-9), "LINEAR_EXACT")


def robust_window(values: np.ndarray, modality: Modality) -> Window:
    """Make a window from percentiles of stored values, for files that name none."""
    low, high = robust_range(values)
    ends = modality(np.array([low, high], np.float64))
    return between(float(ends.min()), float(ends.max()))


def apply(values: np.ndarray, modality: Modality, voi: Lut | Window) -> np.ndarray:
    """Map stored values [H, W] of any integer or float type to grey levels uint8.

    Integers of a usual range go through a table of all values in it, which costs less time and
    memory than floats of the size of the picture.
    """

    def levels(stored: np.ndarray) -> np.ndarray:
        seen = voi(modality(stored.astype(np.float64)))
        if isinstance(voi, Lut):
            seen = seen * (255.0 / voi.top)
        rounded: np.ndarray = np.rint(np.nan_to_num(seen, nan=0.0))
        return rounded.astype(np.uint8)

    if values.dtype.kind in "iub":
        low, high = int(values.min()), int(values.max())
        if high - low < MAX_TABLE:
            table = levels(np.arange(low, high + 1))
            return _by_chunk(
                values,
                lambda chunk: table.take(np.subtract(chunk, low, dtype=np.intp)),
                size=TABLE_CHUNK,
            )
    return _by_chunk(values, levels)


def _by_chunk(
    values: np.ndarray, convert: Callable[[np.ndarray], np.ndarray], *, size: int = CHUNK
) -> np.ndarray:
    result = np.empty(values.shape, np.uint8)
    flat, flat_result = values.reshape(-1), result.reshape(-1)
    for start in range(0, flat.size, size):
        flat_result[start : start + size] = convert(flat[start : start + size])
    return result
