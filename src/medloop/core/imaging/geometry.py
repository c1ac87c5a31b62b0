"""The place of a DICOM picture in space: its pixels' shape and the largest face of a volume.

Tags are read and arrays turned here; nothing is decoded. Distances are millimetres, directions are
DICOM's patient coordinates (towards the left, the back, the head). Impossible numbers are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset

from medloop.core.imaging.dicom_tags import GROUPS, code, group, items, number, numbers
from medloop.core.imaging.limits import Limits

MIN_FRAMES: Final = 16  # fewer make no picture when they are cut across
MIN_GAIN: Final = 1.1  # of a face's size over the stored plane, which is sharper
SPACING_MM: Final = (1e-4, 1e3)  # from microscopy to a scout with wide gaps
FARTHEST_MM: Final = 1e5  # of a position from the origin
UNEVEN: Final = 0.25  # of a step; scanners round positions
TRANSVERSE: Final = 0.7  # cosine between the steps from frame to frame and the body's long axis
UPRIGHT: Final = 0.99  # cosine: a stack that leans over further would be cut aslant
MAX_RATIO: Final = 50.0  # of a pixel's sides; 10 mm slices with pixels of 0.2 mm
NOTICED: Final = 0.01  # pixels whose sides differ by less are square
MAX_ENLARGED: Final = 16_000_000  # pixels; larger results are made square by shrinking
STACKED: Final = frozenset({"CT", "MR", "PT"})  # frames are slices even without positions


@dataclass(frozen=True, slots=True, eq=False)
class SliceStack:
    """Frames that lie on each other as the slices of a volume."""

    order: np.ndarray  # int64 [N]: the frames from one end to the other
    steps_mm: tuple[float, float, float]  # to the next frame, row and column
    directions: np.ndarray | None  # float64 [3, 3]: unit vectors of these steps; None if unknown


def pixel_size(dataset: Dataset, frame: int) -> tuple[float, float]:
    """Return a stored pixel's height and width, in mm or only in proportion; (1, 1) if unknown."""
    found = _spacing(dataset, frame)
    for name in ("ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio"):
        found = found or _sides(dataset, name)
    return found or (1.0, 1.0)


def stack_of(dataset: Dataset, frames: int) -> SliceStack | None:
    """Stack frames to a volume; None if too few, unevenly spaced, repeated in time or unknown."""
    spacing = _spacing(dataset, 0)
    if (
        frames < MIN_FRAMES
        or spacing is None
        or any(_spacing(dataset, at) != spacing for at in range(1, frames))
    ):
        return None
    if group(dataset, 0, "PlanePositionSequence") is None:
        step = _declared_step(dataset, frames)
        return SliceStack(np.arange(frames), (step, *spacing), None) if step else None
    positions = [
        _plane(dataset, at, "PlanePositionSequence", "ImagePositionPatient", 3)
        for at in range(frames)
    ]
    if not all(positions):
        return None
    return _placed(np.array(positions), _orientation(dataset, frames), spacing)


def largest_face(shape: tuple[int, int, int], stack: SliceStack) -> int:
    """Return the axis of [frames, rows, columns] normal to the largest face; 0: stored plane.

    The largest face stands on the shortest edge. Transverse slices stay, however long the scan:
    models know CTs like that, and radiologists read them like that.
    """
    if stack.directions is not None and abs(stack.directions[0, 2]) >= TRANSVERSE:
        return 0
    extents = np.array(shape) * np.array(stack.steps_mm)
    shortest = int(extents.argmin())
    return shortest if extents[0] >= MIN_GAIN * extents[shortest] else 0


def upright(
    cut: np.ndarray, axis: int, stack: SliceStack
) -> tuple[np.ndarray, tuple[float, float]]:
    """Turn a cut as radiologists hold it; return it with the height and width of its pixels.

    The head is up, else the front. The patient's right is on the left, as is the front of a side
    view. If the file gives no directions, rows stay rows and columns stay columns.

    Args:
        cut: [N, columns] for axis 1 (through a row), [N, rows] for axis 2 (through a column).
        axis: The axis of [frames, rows, columns] that was cut through.
        stack: The source of the cut.
    """
    axes = [0, 2] if axis == 1 else [0, 1]
    directions = None if stack.directions is None else stack.directions[axes]
    along = [1, 0] if directions is None else [int(at) for at in np.abs(directions).argmax(axis=1)]
    if directions is None or along[0] == along[1]:
        turned = axis == 2
    else:
        turned = along[0] < along[1]
        signs = [-1 if at == 2 else 1 for at in along]  # downwards is towards the feet
        forwards = [directions[i, along[i]] * signs[i] > 0 for i in range(2)]
        cut = cut[:: 1 if forwards[0] else -1, :: 1 if forwards[1] else -1]
    down, across = (stack.steps_mm[at] for at in axes)
    return (cut.T, (across, down)) if turned else (cut, (down, across))


def square_pixels(pixels: np.ndarray, size: tuple[float, float], limits: Limits) -> np.ndarray:
    """Resize grey uint8 [H, W] to square pixels: enlarge the short side, or shrink the other.

    Args:
        pixels: As stored.
        size: Height and width of a pixel. A shape that no scanner makes is ignored.
        limits: Bounds of the result.
    """
    height, width = pixels.shape
    ratio = size[0] / size[1]
    if not 1 / MAX_RATIO <= ratio <= MAX_RATIO or abs(ratio - 1) < NOTICED:
        return pixels
    taller, narrower = (round(height * ratio), width), (height, round(width / ratio))
    shape, shrunk = (taller, narrower) if ratio > 1 else (narrower, taller)
    if shape[0] * shape[1] > min(MAX_ENLARGED, limits.max_pixels) or max(shape) > limits.max_side:
        shape = max(1, shrunk[0]), max(1, shrunk[1])
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize(shape[::-1], Image.Resampling.BILINEAR))


def _spacing(dataset: Dataset, frame: int) -> tuple[float, float] | None:
    measures = group(dataset, frame, "PixelMeasuresSequence")
    found = None if measures is None else _sides(measures, "PixelSpacing")
    return found or _sides(dataset, "PixelSpacing")


def _sides(source: Dataset, name: str) -> tuple[float, float] | None:
    found = numbers(source, name, 2)
    return (found[0], found[1]) if found and all(_possible(side) for side in found) else None


def _possible(step: float | None) -> bool:
    return step is not None and SPACING_MM[0] <= step <= SPACING_MM[1]


def _declared_step(dataset: Dataset, frames: int) -> float | None:
    """Read the step from slice to slice, for frames without positions."""
    each = dataset.get(GROUPS[1])
    if code(dataset, "Modality") not in STACKED or (
        each is not None and len(items(dataset, GROUPS[1])) != frames
    ):
        return None
    measures = group(dataset, 0, "PixelMeasuresSequence")
    sources = [dataset] if measures is None else [measures, dataset]
    steps = (
        number(source, name)
        for name in ("SpacingBetweenSlices", "SliceThickness")
        for source in sources
    )
    return next((step for step in steps if _possible(step)), None)


def _plane(
    dataset: Dataset, frame: int, name: str, tag: str, count: int
) -> tuple[float, ...] | None:
    plane = group(dataset, frame, name)
    found = None if plane is None else numbers(plane, tag, count)
    return found if found and max(map(abs, found)) <= FARTHEST_MM else None


def _orientation(dataset: Dataset, frames: int) -> np.ndarray | None:
    """Read directions [2, 3] to next row and column; NaN if frames disagree, None if unknown."""
    if group(dataset, 0, "PlaneOrientationSequence") is None:
        return None
    found = [
        _plane(dataset, at, "PlaneOrientationSequence", "ImageOrientationPatient", 6)
        for at in range(frames)
    ]
    if not all(found) or np.abs(np.array(found) - np.array(found[0])).max() > 1e-3:
        return np.full((2, 3), np.nan)
    return np.array(found[0]).reshape(2, 3)[::-1]


def _placed(
    positions: np.ndarray, plane: np.ndarray | None, spacing: tuple[float, float]
) -> SliceStack | None:
    """Stack frames at `positions` [N, 3], if evenly spaced and at right angles to `plane`."""
    order, normal = np.arange(len(positions)), None
    if plane is not None:
        if not np.allclose(plane @ plane.T, np.eye(2), atol=0.02):  # NaN if frames disagree
            return None
        normal = np.cross(plane[1], plane[0])
        order = np.argsort(positions @ normal, kind="stable")
    steps = np.diff(positions[order], axis=0)
    mean = steps.mean(axis=0)
    length = float(np.linalg.norm(mean))
    if not _possible(length) or np.linalg.norm(steps - mean, axis=1).max() > UNEVEN * length:
        return None
    if plane is None or normal is None:
        return SliceStack(order, (length, *spacing), None)
    if mean @ normal < UPRIGHT * length:
        return None
    return SliceStack(order, (length, *spacing), np.stack([mean / length, *plane]))
