"""DICOM to grey pixels, with the choice of frame and window.

* Frame: the one that the caller names, as it is stored; else the middle slice, in the plane of a
  volume's largest face (`geometry`). Pixels that are not square become so.
* Window: the caller's; else the file's first VOI LUT or first window (LINEAR, LINEAR_EXACT or
  SIGMOID), also from the functional groups of an enhanced file; else by modality. CT in Hounsfield
  units gets centre 40, width 400 (soft tissue). 8 bits stay as they are. Anything else runs from
  the 0.5th to the 99.5th percentile without padding.
  A window of the file that leaves one single grey is wrong and counts as none.
* MONOCHROME1 is inverted; palettes, YBR and RGB become luminance.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset

from medloop.core.imaging import geometry, voi
from medloop.core.imaging.codecs import Stored, check_syntax
from medloop.core.imaging.colour import in_colour
from medloop.core.imaging.dicom_frames import (
    WHOLE_TYPES,
    TooMuchWorkError,
    decode_frame,
    decode_lines,
)
from medloop.core.imaging.dicom_tags import (
    COLOURS,
    GROUPS,
    Header,
    code,
    items,
    number,
    quieten_pydicom,
    read_header,
    table,
    technical,
    unreadable_numbers,
    warnings_about,
)
from medloop.core.imaging.limits import Limits
from medloop.core.imaging.picture import ImageInfo
from medloop.errors import DecodeError

CT_WINDOW: Final = voi.Window(40, 400)
PALETTE_ROWS: Final = 256  # that are looked up at once
BELOW_ALL_TISSUE: Final = -500  # HU; only air and lung are
ACROSS: Final = "This volume's largest face lies across its slices;"
AS_STORED: Final = "the middle one is shown as it is stored."
MONOCHROME: Final = ("", "MONOCHROME1", "MONOCHROME2")
COLOUR_MODELS: Final = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_ICT", "YBR_RCT")


def read(
    data: bytes, *, limits: Limits, frame: int | None, window: tuple[float, float] | None
) -> tuple[np.ndarray, ImageInfo]:
    """Read one frame of a DICOM file, as a person would see it.

    Raises:
        DecodeError: No picture, too large, or of unreadable compression. Others mean damage.
    """
    quieten_pydicom()
    header = read_header(data, limits)
    chosen = limits.check_frame(frame, header.frames, default=header.frames // 2)
    _check_size(header, limits)
    pixels: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    coloured = False
    if frame is None and header.frames > 1:
        pixels, notes = _across(header, limits, window)
    resliced = pixels is not None
    if pixels is None:
        levels, coloured = _levels(decode_frame(header, chosen, limits), header, chosen, window)
        pixels = geometry.square_pixels(levels, geometry.pixel_size(header.dataset, chosen), limits)
    warnings = warnings_about(header)
    return pixels, ImageInfo(
        in_colour=coloured, frames=header.frames, frame=chosen, technical=technical(header),
        warnings=warnings + notes + unreadable_numbers(header),
        needs_clearance=bool(warnings), resliced=resliced,
    )  # fmt: skip


def _across(
    header: Header, limits: Limits, window: tuple[float, float] | None
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Cut a volume's middle slice if its largest face lies across its frames; or note a failure."""
    if header.photometric not in MONOCHROME or header.samples != 1 or header.bits_allocated == 1:
        return None, ()
    stack = geometry.stack_of(header.dataset, header.frames)
    shape = (header.frames, header.rows, header.columns)
    axis = geometry.largest_face(shape, stack) if stack else 0
    if stack is None or axis == 0:
        return None, ()
    at = shape[axis] // 2
    try:
        lines = decode_lines(
            header, limits, row=at if axis == 1 else None, column=at if axis == 2 else None
        )
    except TooMuchWorkError:
        return None, (f"{ACROSS} to cut it out would take too long, so {AS_STORED}",)
    except Exception:  # even if some frames are damaged, the middle one may be whole
        return None, (f"{ACROSS} not all of them can be read, so {AS_STORED}",)
    levels = _levels_of_lines(lines, header, stack.order, window)
    cut, size = geometry.upright(levels, axis, stack)
    return geometry.square_pixels(cut, size, limits), ()


def _check_size(header: Header, limits: Limits) -> None:
    samples, bits = header.samples, header.bits_allocated
    if samples not in (1, 3) or not 1 <= bits <= 64 or (bits > 32 and bits not in WHOLE_TYPES):
        raise DecodeError(
            f"This DICOM file has {samples} samples a pixel of {bits} bits, which is not supported."
        )
    limits.check(width=header.columns, height=header.rows, sample_bytes=samples * max(1, bits // 8))
    if header.compressed:
        check_syntax(header.syntax)
        return
    halved = header.photometric == "YBR_FULL_422"  # two pixels share their colour
    expected = (header.rows * header.columns * samples * bits * header.frames + 7) // 8
    if len(header.pixels) < expected * (2 if halved else 3) // 3:
        raise DecodeError(
            "The picture in this DICOM file is cut off: "
            f"{header.columns} × {header.rows} pixels were promised."
        )


def _levels(
    stored: Stored, header: Header, frame: int, window: tuple[float, float] | None
) -> tuple[np.ndarray, bool]:
    """Return grey levels [H, W] of a stored frame, and whether it is in colour."""
    if stored.values.ndim == 3:
        image = _colours(stored)
        return np.asarray(
            image.getchannel(0) if image.mode == "YCbCr" else image.convert("L")
        ), in_colour(image)
    if stored.photometric == "PALETTE COLOR":
        rgb = _through_palette(stored.values, header)
        return np.asarray(rgb.convert("L")), in_colour(rgb)
    sources = list(_sources(header.dataset, frame))
    return _seen(stored.values, _modality(sources, header), sources, header, window), False


def _colours(stored: Stored) -> Image.Image:
    """Reduce colours to RGB or YCbCr of 8 bits."""
    model = stored.photometric if stored.photometric in COLOUR_MODELS else "RGB"
    values = stored.values
    if values.shape[2] != 3 or stored.photometric not in (*COLOUR_MODELS, *MONOCHROME):
        raise DecodeError("The colours of this DICOM file are of a kind that is not supported.")
    if values.dtype != np.uint8:
        values = (values >> max(stored.precision - 8, 0)).astype(np.uint8)
    if model == "YBR_PARTIAL_422":  # studio range
        values = np.clip((values - 16.0) * (255 / np.array([219, 224, 224])), 0, 255).astype(
            np.uint8
        )
    return Image.fromarray(np.ascontiguousarray(values), "RGB" if model == "RGB" else "YCbCr")


def _levels_of_lines(
    lines: np.ndarray, header: Header, order: np.ndarray, window: tuple[float, float] | None
) -> np.ndarray:
    """Grey one line per frame, in `order`: by the frame's rescaling and the middle frame's VOI."""
    dataset = header.dataset
    modalities = [_modality(list(_sources(dataset, int(frame))), header) for frame in order]
    sources = list(_sources(dataset, int(order[len(order) // 2])))
    modality, values = modalities[0], lines[order]
    if any(other.lut or other != modality for other in modalities):
        each = zip(modalities, values, strict=True)
        values = np.stack([one(line.astype(np.float64)).astype(np.float32) for one, line in each])
        modality = voi.Modality()
    return _seen(values, modality, sources, header, window)


def _seen(
    stored: np.ndarray,
    modality: voi.Modality,
    sources: list[Dataset],
    header: Header,
    window: tuple[float, float] | None,
) -> np.ndarray:
    if window is not None:
        levels = voi.apply(stored, modality, voi.Window(window[0], max(window[1], 1.0)))
    else:
        named = _file_voi(sources)
        levels = voi.apply(stored, modality, named or _default_voi(stored, header, modality))
        if named and levels.min() == levels.max():
            levels = voi.apply(stored, modality, _default_voi(stored, header, modality))
    return 255 - levels if header.photometric == "MONOCHROME1" else levels


def _through_palette(stored: np.ndarray, header: Header) -> Image.Image:
    """Look up colours in the file's palette (PS3.3 C.7.6.3.1.5), segmented or not."""
    tables = [_palette(header, colour) for colour in COLOURS]
    if None in tables:
        raise DecodeError("The palette of this DICOM file is missing or damaged.")
    deep = max(lut.entries.max() for lut in tables if lut) > 255
    low = max(int(stored.min()), -(2**15))
    values = np.arange(low, min(int(stored.max()), low + voi.MAX_TABLE) + 1)
    colours = np.zeros((len(values), 4), np.uint8)  # each in one word, which is quick to look up
    for channel, lut in zip(colours.T, filter(None, tables), strict=False):
        channel[:] = lut(values).astype(np.uint16) >> (8 if deep else 0)
    words, found = colours.view(np.uint32)[:, 0], np.empty(stored.shape, np.uint32)
    for top in range(0, len(stored), PALETTE_ROWS):
        at = np.subtract(stored[top : top + PALETTE_ROWS], low, dtype=np.int64)
        found[top : top + PALETTE_ROWS] = words.take(at, mode="clip")
    return Image.frombuffer("RGBX", stored.shape[::-1], found, "raw", "RGBX", 0, 1).convert("RGB")


def _palette(header: Header, colour: str) -> voi.Lut | None:
    dataset = header.dataset
    name = f"{colour}PaletteColorLookupTable"
    descriptor, words = table(dataset, f"{name}Descriptor"), table(dataset, f"{name}Data")
    if not words.size and len(descriptor) == 3:
        words = voi.expand_segments(table(dataset, f"Segmented{name}Data"), bits=descriptor[2])
    return voi.make_lut(descriptor, words, signed=header.signed)


def _sources(dataset: Dataset, frame: int) -> Iterator[Dataset]:
    """Yield the data sets that may hold windows and rescaling, the most specific first."""
    for name, at in ((GROUPS[1], frame), (GROUPS[0], 0)):
        found = items(dataset, name)
        if at < len(found):
            for group in ("FrameVOILUTSequence", "PixelValueTransformationSequence"):
                yield from items(found[at], group)[:1]
    yield dataset


def _modality(sources: list[Dataset], header: Header) -> voi.Modality:
    for source in sources:
        for item in items(source, "ModalityLUTSequence")[:1]:
            if lut := _lut(item, signed=header.signed):
                return voi.Modality(lut=lut)
        slope, intercept = number(source, "RescaleSlope"), number(source, "RescaleIntercept")
        if slope or intercept:
            return voi.Modality(slope=slope or 1.0, intercept=intercept or 0.0)
    return voi.Modality()


def _file_voi(sources: list[Dataset]) -> voi.Lut | voi.Window | None:
    for source in sources:
        for item in items(source, "VOILUTSequence")[:1]:
            if lut := _lut(item, signed=True):
                return lut
        centre, width = number(source, "WindowCenter"), number(source, "WindowWidth")
        if centre is None or width is None:
            continue
        function = code(source, "VOILUTFunction") or "LINEAR"
        if width > 0 and (width >= 1 or function != "LINEAR"):
            known = function if function in ("LINEAR_EXACT", "SIGMOID") else "LINEAR"
            return voi.Window(centre, width, known)  # type: ignore[arg-type]
    return None


def _lut(item: Dataset, *, signed: bool) -> voi.Lut | None:
    return voi.make_lut(table(item, "LUTDescriptor"), table(item, "LUTData"), signed=signed)


def _default_voi(stored: np.ndarray, header: Header, modality: voi.Modality) -> voi.Window:
    bits = 8 * stored.itemsize if stored.dtype.kind in "iub" else 64
    bits = min(header.bits_stored or bits, bits)
    if bits <= 8:
        low = -(2 ** (bits - 1)) if stored.dtype.kind == "i" else 0
        ends = modality(np.array([low, low + 2**bits - 1], np.float64))
        return voi.between(float(ends.min()), float(ends.max()))
    is_ct = header.modality == "CT"
    if is_ct and modality.intercept < 0:
        return CT_WINDOW
    shown = _without_padding(stored, header, bits)
    # Stored values this low are Hounsfield units already.
    if is_ct and modality(shown.min(keepdims=True)).min() < BELOW_ALL_TISSUE:
        return CT_WINDOW
    return voi.robust_window(shown, modality)


def _without_padding(stored: np.ndarray, header: Header, bits: int) -> np.ndarray:
    """Drop PixelPaddingValue, or the range from it to PixelPaddingRangeLimit.

    Some writers give these the unsigned type, or set unused bits: only `bits` of them count.
    """
    found = (number(header.dataset, f"PixelPadding{end}") for end in ("Value", "RangeLimit"))
    ends = [end for end in found if end is not None]
    if not ends:
        return stored
    if stored.dtype.kind in "iu":
        low = -(2 ** (bits - 1)) if stored.dtype.kind == "i" else 0
        ends = [(end - low) % 2**bits + low for end in ends]
    shown = stored[(stored < min(ends)) | (stored > max(ends))]
    return shown if shown.size else stored
