"""DICOM to grey pixels: which frame, which window, and what may be told about the file.

* Frame: the one that the caller names, as it is stored; else the middle slice, in the plane of a volume's largest
  face (`geometry`). Pixels that are not square become so.
* Window: the caller's; else the file's first VOI LUT, else its first window (LINEAR, LINEAR_EXACT or SIGMOID),
  also from the functional groups of an enhanced file; else by modality: CT in Hounsfield units centre 40 width
  400 (soft tissue), 8 bits as they are, anything else from the 0.5th to the 99.5th percentile without padding.
  A window of the file that leaves one single grey is wrong and counts as none.
* MONOCHROME1 is inverted, palettes and YBR become RGB, colour becomes luminance.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from medloop.core.imaging import geometry, voi
from medloop.core.imaging.codecs import plugin_for
from medloop.core.imaging.colour import in_colour
from medloop.core.imaging.dicom_frames import TooMuchWorkError, decode_frame, decode_lines
from medloop.core.imaging.dicom_tags import (
    GROUPS,
    PIXELS,
    code,
    integer,
    number,
    parse,
    quieten_pydicom,
    technical,
    warnings_about,
    what_it_is,
)
from medloop.core.imaging.limits import Limits
from medloop.core.imaging.picture import Picture
from medloop.errors import DecodeError

PIXEL_TAG: Final = b"\xe0\x7f\x10\x00"
FRAGMENT: Final = b"\xfe\xff\x00\xe0"  # starts each piece of compressed pixel data
CT_WINDOW: Final = voi.Window(40, 400)
BELOW_ALL_TISSUE: Final = -500  # HU; only air and lung are
ACROSS: Final = "This volume's largest face lies across its slices;"
AS_STORED: Final = "the middle one is shown as it is stored."


def read(
    data: bytes, *, limits: Limits, frame: int | None, window: tuple[float, float] | None
) -> Picture:
    """One frame of a DICOM file, as a person would see it.

    Raises:
        DecodeError: No picture inside, too large, or compressed in a way that cannot be read. Others mean damage.
    """
    quieten_pydicom()
    dataset = parse(data, limits)
    if not any(name in dataset for name in PIXELS):
        if PIXEL_TAG in data:  # of a compressed picture without an end, pydicom makes nothing
            raise DecodeError("The picture in this DICOM file is cut off or damaged.")
        raise DecodeError(f"This DICOM file holds no picture{what_it_is(dataset)}.")
    frames = integer(dataset, "NumberOfFrames", 1)
    chosen = limits.check_frame(frame, frames, default=frames // 2)
    _check_size(dataset, frames, limits)
    warnings = warnings_about(dataset)
    pixels, notes = (
        _across(dataset, frames, limits, window) if frame is None and frames > 1 else (None, ())
    )
    resliced, coloured = pixels is not None, False
    if pixels is None:
        stored = decode_frame(dataset, chosen, limits)
        levels, coloured = _levels(stored, dataset, chosen, window)
        pixels = geometry.square_pixels(levels, geometry.pixel_size(dataset, chosen), limits)
    return Picture(
        pixels,
        in_colour=coloured,
        frames=frames,
        frame=chosen,
        technical=technical(dataset),
        warnings=warnings + notes,
        needs_clearance=bool(warnings),
        resliced=resliced,
    )


def _across(
    dataset: Dataset, frames: int, limits: Limits, window: tuple[float, float] | None
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """The middle slice of a volume whose largest face lies across its frames, else None; and a note if one is due."""
    grey = code(dataset, "PhotometricInterpretation") in ("", "MONOCHROME1", "MONOCHROME2")
    if (
        not grey
        or integer(dataset, "SamplesPerPixel", 1) != 1
        or integer(dataset, "BitsAllocated", 0) == 1
    ):
        return None, ()
    stack = geometry.stack_of(dataset, frames)
    shape = (frames, integer(dataset, "Rows", 0), integer(dataset, "Columns", 0))
    axis = geometry.largest_face(shape, stack) if stack else 0
    if stack is None or axis == 0:
        return None, ()
    at = shape[axis] // 2
    try:
        lines = decode_lines(
            dataset, frames, limits, row=at if axis == 1 else None, column=at if axis == 2 else None
        )
    except TooMuchWorkError:
        return None, (f"{ACROSS} to cut it out would take too long, so {AS_STORED}",)
    except Exception:  # whatever is wrong with one of them, the middle one may be whole
        return None, (f"{ACROSS} not all of them can be read, so {AS_STORED}",)
    levels = _levels_of_lines(lines, dataset, stack.order, window)
    cut, size = geometry.upright(levels, axis, stack)
    return geometry.square_pixels(cut, size, limits), ()


def _check_size(dataset: Dataset, frames: int, limits: Limits) -> None:
    rows, columns = integer(dataset, "Rows", 0), integer(dataset, "Columns", 0)
    samples, bits = integer(dataset, "SamplesPerPixel", 1), integer(dataset, "BitsAllocated", 0)
    if samples not in (1, 3) or bits not in (1, 8, 16, 32, 64):
        raise DecodeError(
            f"This DICOM file is damaged: it claims {samples} samples a pixel of {bits} bits."
        )
    limits.check(width=columns, height=rows, sample_bytes=samples * max(1, bits // 8))
    if plugin_for(dataset.file_meta.TransferSyntaxUID, integer(dataset, "BitsStored", 8)):
        pieces = dataset.PixelData.count(FRAGMENT)
        if pieces > 8 * limits.max_frames:
            raise DecodeError(
                f"The picture in this DICOM file comes in {pieces:,} pieces, too many to be honest."
            )
        return
    name = next(name for name in PIXELS if name in dataset)
    halved = (
        code(dataset, "PhotometricInterpretation") == "YBR_FULL_422"
    )  # two pixels share their colour
    expected = (rows * columns * samples * bits * frames + 7) // 8 * (2 if halved else 3) // 3
    if len(dataset[name].value or b"") < expected:
        raise DecodeError(
            f"The picture in this DICOM file is cut off: {columns} × {rows} pixels were promised."
        )


def _levels(
    stored: np.ndarray, dataset: Dataset, frame: int, window: tuple[float, float] | None
) -> tuple[np.ndarray, bool]:
    """Grey levels [H, W] of a stored frame, and whether it is in colour."""
    palette = code(dataset, "PhotometricInterpretation") == "PALETTE COLOR"
    if stored.ndim == 3 or palette:
        rgb = Image.fromarray(
            _through_palette(stored, dataset) if stored.ndim == 2 else _eight_bits(stored, dataset)
        )
        return np.asarray(rgb.convert("L")), in_colour(rgb)
    sources = list(_sources(dataset, frame))
    return _seen(stored, _modality(sources, dataset), sources, dataset, window), False


def _eight_bits(stored: np.ndarray, dataset: Dataset) -> np.ndarray:
    """RGB [H, W, 3] of 8 or 16 bits to 8."""
    bits = min(integer(dataset, "BitsStored", 8), 8 * stored.dtype.itemsize)
    return stored if stored.dtype == np.uint8 else (stored >> max(bits - 8, 0)).astype(np.uint8)


def _levels_of_lines(
    lines: np.ndarray, dataset: Dataset, order: np.ndarray, window: tuple[float, float] | None
) -> np.ndarray:
    """Grey levels of a line of each frame, in `order`: each by its frame's rescaling, all by the middle one's VOI."""
    modalities = [_modality(list(_sources(dataset, int(frame))), dataset) for frame in order]
    sources, modality, values = (
        list(_sources(dataset, int(order[len(order) // 2]))),
        modalities[0],
        lines[order],
    )
    if any(other.lut or other != modality for other in modalities):
        each = zip(modalities, values, strict=True)
        values = np.stack([one(line.astype(np.float64)).astype(np.float32) for one, line in each])
        modality = voi.Modality()
    return _seen(values, modality, sources, dataset, window)


def _seen(
    stored: np.ndarray,
    modality: voi.Modality,
    sources: list[Dataset],
    dataset: Dataset,
    window: tuple[float, float] | None,
) -> np.ndarray:
    default = _default_voi(stored, dataset, modality)
    if window is not None:
        levels = voi.apply(stored, modality, voi.Window(window[0], max(window[1], 1.0)))
    else:
        levels = voi.apply(stored, modality, _file_voi(sources) or default)
        if levels.min() == levels.max():
            levels = voi.apply(stored, modality, default)
    return 255 - levels if code(dataset, "PhotometricInterpretation") == "MONOCHROME1" else levels


def _through_palette(stored: np.ndarray, dataset: Dataset) -> np.ndarray:
    if "RedPaletteColorLookupTableData" not in dataset:
        raise DecodeError(
            "The palette of this DICOM file is missing, or of a kind (segmented) that is not read."
        )
    rgb = apply_color_lut(stored, dataset)
    if rgb.dtype != np.uint8:
        rgb = (rgb >> 8).astype(np.uint8)
    return np.ascontiguousarray(rgb[..., :3])


def _sources(dataset: Dataset, frame: int) -> Iterator[Dataset]:
    """Where windows and rescaling may stand, the most specific first."""
    for name, at in ((GROUPS[1], frame), (GROUPS[0], 0)):
        items = dataset.get(name)
        if items and at < len(items):
            for group in ("FrameVOILUTSequence", "PixelValueTransformationSequence"):
                yield from (items[at].get(group) or [])[:1]
    yield dataset


def _modality(sources: list[Dataset], dataset: Dataset) -> voi.Modality:
    signed = integer(dataset, "PixelRepresentation", 0) == 1
    for source in sources:
        if source.get("ModalityLUTSequence") and (
            lut := _lut(source.ModalityLUTSequence[0], signed=signed)
        ):
            return voi.Modality(lut=lut)
        slope = number(source, "RescaleSlope")
        if slope:
            return voi.Modality(slope=slope, intercept=number(source, "RescaleIntercept") or 0.0)
    return voi.Modality()


def _file_voi(sources: list[Dataset]) -> voi.Lut | voi.Window | None:
    for source in sources:
        if source.get("VOILUTSequence") and (lut := _lut(source.VOILUTSequence[0], signed=True)):
            return lut
        centre, width = number(source, "WindowCenter"), number(source, "WindowWidth")
        function = code(source, "VOILUTFunction") or "LINEAR"
        least = 1.0 if function == "LINEAR" else 0.0
        if centre is not None and width is not None and width > 0 and width >= least:
            known = function if function in ("LINEAR_EXACT", "SIGMOID") else "LINEAR"
            return voi.Window(centre, width, known)  # type: ignore[arg-type]
    return None


def _lut(item: Dataset, *, signed: bool) -> voi.Lut | None:
    """A lookup table of the file; None where it is not usable."""
    try:
        count, first, bits = (int(value) for value in item.LUTDescriptor)
        data = item.LUTData
        entries = np.frombuffer(data, "<u2") if isinstance(data, bytes) else np.asarray(data)
    except (AttributeError, TypeError, ValueError):
        return None
    entries = entries.astype(np.float64).reshape(-1)[: count or 65_536]
    if entries.size == 0 or not 1 <= bits <= 16:
        return None
    if signed and first > 32_767:
        first -= 65_536
    # Some writers declare 16 bits and use 12: the table's own maximum tells.
    top = max(float(entries.max()), 1.0) if bits > 8 else float(2**bits - 1)
    return voi.Lut(first, entries, top)


def _default_voi(stored: np.ndarray, dataset: Dataset, modality: voi.Modality) -> voi.Window:
    bits = integer(dataset, "BitsStored", 16)
    if stored.dtype.kind in "iub" and bits <= 8:
        low = -(2 ** (bits - 1)) if stored.dtype.kind == "i" else 0
        ends = modality(np.array([low, low + 2**bits - 1], np.float64))
        return voi.between(float(ends.min()), float(ends.max()))
    is_ct = code(dataset, "Modality") == "CT"
    if is_ct and modality.intercept < 0:
        return CT_WINDOW
    padding = number(dataset, "PixelPaddingValue")
    shown = stored if padding is None else stored[stored != padding]
    shown = shown if shown.size else stored
    if (
        is_ct and modality(shown.min(keepdims=True)).min() < BELOW_ALL_TISSUE
    ):  # Hounsfield units as stored
        return CT_WINDOW
    return voi.robust_window(shown, modality)
