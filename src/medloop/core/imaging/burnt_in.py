"""Text burnt into the pixels near the border, where devices write names and dates.

The heuristic points a person at a place; it never promises that there is no text. Letters are
strokes of one grey on another, close together. So an 8 × 8 cell counts if it has strong edges both
ways and nearly all its pixels are either dark or bright. A region is a run of such cells. By
`benchmarks/burnt_in.py`, three in four names drawn into a corner of 100 CT slices are found, and
one slice in twenty is pointed out without any text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

MIN_SIDE: Final = 128  # below, no name is legible
WORKING_SIDE: Final = 512  # approximate shorter side, so that letters have a known size
CELL: Final = 8
BORDER: Final = 0.25  # of height and width, at each side
EDGE: Final = 40  # grey levels between neighbours
MIN_CONTRAST: Final = 90  # between the darkest and the brightest pixel of a cell
MIN_EDGES: Final = 8  # of 64, along each axis
MIN_TWO_LEVEL: Final = 0.7  # share of pixels in the lowest or highest quarter of a cell's range
MIN_RUN: Final = 5  # cells side by side
MIN_FILL: Final = 0.5  # of the region's cells


@dataclass(frozen=True, slots=True)
class Region:
    """A place in the picture, in its own pixels."""

    top: int
    left: int
    height: int
    width: int


def warning(regions: Sequence[Region]) -> tuple[str, ...]:
    """Warn the user if there seems to be text near the border."""
    if not regions:
        return ()
    places = "one place" if len(regions) == 1 else f"{len(regions)} places"
    return (f"There may be text near the border ({places}): make sure that it names no patient.",)


def text_regions(pixels: np.ndarray) -> tuple[Region, ...]:
    """Find likely letters in `pixels` uint8 [H, W], top to bottom; none below 128 pixels a side."""
    if min(pixels.shape) < MIN_SIDE:
        return ()
    factor = max(1, min(pixels.shape) // WORKING_SIDE)
    cells = _text_cells(_reduced(pixels, factor))
    step = CELL * factor
    return tuple(
        Region(top * step, left * step, (bottom - top) * step, (right - left) * step)
        for top, left, bottom, right in _runs(cells)
    )


def _reduced(pixels: np.ndarray, factor: int) -> np.ndarray:
    """Average factor × factor blocks, cut to whole cells."""
    height, width = (side // factor // CELL * CELL for side in pixels.shape)
    cut = pixels[: height * factor, : width * factor]
    if factor == 1:
        return cut.astype(np.int16)
    means: np.ndarray = cut.reshape(height, factor, width, factor).mean((1, 3), dtype=np.float32)
    return means.astype(np.int16)


def _text_cells(grey: np.ndarray) -> np.ndarray:
    """Mark the cells near the border that look like letters: bool [H / 8, W / 8].

    Most cells have too little contrast, so only the others are looked at closely.
    """
    rows, columns = grey.shape[0] // CELL, grey.shape[1] // CELL
    low, high = (_by_cell(grey, reduce) for reduce in (np.minimum.reduce, np.maximum.reduce))
    y, x = np.ogrid[:rows, :columns]
    near_border = (np.minimum(y, rows - 1 - y) < BORDER * rows) | (
        np.minimum(x, columns - 1 - x) < BORDER * columns
    )
    letters: np.ndarray = near_border & (high - low >= MIN_CONTRAST)
    at = np.nonzero(letters)
    if len(at[0]):
        windows = sliding_window_view(np.pad(grey, (0, 1), mode="edge"), (CELL + 1, CELL + 1))
        letters[at] = _are_letters(windows[::CELL, ::CELL][at], low[at], high[at])
    return letters


def _by_cell(grey: np.ndarray, reduce: Callable[..., np.ndarray]) -> np.ndarray:
    """Reduce cells to one value each, first down, then across: along whole lines, for speed."""
    for _ in range(2):
        grey = np.ascontiguousarray(reduce(grey.reshape(-1, CELL, grey.shape[1]), axis=1).T)
    return grey


def _are_letters(cells: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Tell which cells int16 [N, 9, 9], each with the next row and column, look like letters."""
    inner = cells[:, :CELL, :CELL]
    along = np.abs(cells[:, :CELL, 1:] - inner) > EDGE
    down = np.abs(cells[:, 1:, :CELL] - inner) > EDGE
    quarter = (high - low) // 4
    dark, bright = (low + quarter)[:, None, None], (high - quarter)[:, None, None]
    two_level = ((inner <= dark) | (inner >= bright)).mean((1, 2))
    enough = [edges.sum((1, 2)) >= MIN_EDGES for edges in (along, down)]
    alike: np.ndarray = (two_level >= MIN_TWO_LEVEL) & enough[0] & enough[1]
    return alike


def _runs(cells: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Box neighbouring cells, if wide and full enough: (top, left, bottom, right) in cells."""
    left_over = {(int(y), int(x)) for y, x in np.argwhere(cells)}
    boxes = []
    while left_over:
        group, todo = [], [left_over.pop()]
        while todo:
            y, x = todo.pop()
            group.append((y, x))
            # Up to two columns away: words have gaps between them.
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-2, -1, 0, 1, 2)} & left_over
            left_over -= near
            todo.extend(near)
        ys, xs = [y for y, _ in group], [x for _, x in group]
        top, left, bottom, right = min(ys), min(xs), max(ys) + 1, max(xs) + 1
        if right - left >= MIN_RUN and len(group) >= MIN_FILL * (bottom - top) * (right - left):
            boxes.append((top, left, bottom, right))
    return sorted(boxes)
