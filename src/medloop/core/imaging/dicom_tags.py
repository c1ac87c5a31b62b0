"""A DICOM header, read once: the few tags that medloop needs, and those that may be shown.

Everything here is bounded: a hostile file may hold millions of elements, values of megabytes, or
unpack to gigabytes. Of the tags only `technical` ones leave, each held to a list or a pattern that
no name or free text fits.
"""

from __future__ import annotations

import logging
import math
import re
import warnings
import zlib
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from pydicom import config, dcmread, uid
from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from medloop.core.imaging.limits import Limits
from medloop.core.imaging.read_limit import MeteredReader
from medloop.errors import DecodeError

PIXELS: Final = {"PixelData": "", "FloatPixelData": "f4", "DoubleFloatPixelData": "f8"}
GROUPS: Final = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
COLOURS: Final = ("Red", "Green", "Blue")
LARGE: Final = (  # tags whose value may exceed MAX_VALUE_BYTES
    *GROUPS, "VOILUTSequence", "ModalityLUTSequence",
    *(f"{colour}PaletteColorLookupTableData" for colour in COLOURS),
    *(f"Segmented{colour}PaletteColorLookupTableData" for colour in COLOURS),
)  # fmt: skip
SMALL: Final = (
    "SOPClassUID", "Modality", "BodyPartExamined", "BurnedInAnnotation", "Rows", "Columns",
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue",
    "PixelPaddingRangeLimit", "RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth",
    "VOILUTFunction", "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing",
    "PixelAspectRatio", "SpacingBetweenSlices", "SliceThickness",
    *(f"{colour}PaletteColorLookupTableDescriptor" for colour in COLOURS),
)  # fmt: skip
MAX_VALUE_BYTES: Final = 64 * 2**10  # of a small tag; splitting longer ones takes too long
MAX_LARGE_BYTES: Final = 2**20
MAX_ITEMS: Final = 50_000  # of a sequence's value; 2,000 enhanced frames take about 25,000
ITEMS: Final = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")  # start of an item, in both byte orders
PIXEL_TAGS: Final = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")
END_OF_SEQUENCE: Final = b"\xfe\xff\xdd\xe0"
MAX_META_ELEMENTS: Final = 50
LONG_TYPES: Final = (b"OB", b"OW", b"SQ", b"UN", b"UT")  # types with a length of four bytes
CODE: Final = re.compile(r"[A-Z0-9_ ]{1,16}")  # a DICOM code string
BINARY: Final = {
    "US": "u2", "SS": "i2", "UL": "u4", "SL": "i4", "UV": "u8", "SV": "i8", "FL": "f4", "FD": "f8",
    "OW": "u2",
}  # fmt: skip
# Lists, not patterns: a code is free text on some scanners, and free text may be a name.
MODALITIES: Final = frozenset({
    "CR", "CT", "DX", "ES", "GM", "IO", "IVUS", "MG", "MR", "NM", "OCT", "OP", "OPT", "OT", "PT",
    "PX", "RF", "RG", "RTDOSE", "RTIMAGE", "SC", "SEG", "SM", "TG", "US", "XA", "XC",
})  # fmt: skip
PHOTOMETRIC: Final = frozenset({
    "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422",
    "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT", "XYB",
})  # fmt: skip
BODY_PARTS: Final = frozenset({
    "ABDOMEN", "ABDOMENPELVIS", "ANKLE", "AORTA", "ARM", "BLADDER", "BRAIN", "BREAST", "CALF",
    "CAROTID", "CHEST", "CHESTABDOMEN", "CHESTABDPELVIS", "CLAVICLE", "COCCYX", "COLON", "CSPINE",
    "EAR", "ELBOW", "EXTREMITY", "EYE", "FACE", "FEMUR", "FINGER", "FOOT", "FOREARM", "HAND",
    "HEAD", "HEADNECK", "HEART", "HIP", "HUMERUS", "JAW", "KIDNEY", "KNEE", "LEG", "LIVER",
    "LSPINE", "LUNG", "MAXILLA", "NECK", "ORBIT", "PANCREAS", "PELVIS", "PROSTATE", "RIB",
    "SCAPULA", "SHOULDER", "SINUS", "SKULL", "SPINE", "SSPINE", "STERNUM", "TESTIS", "THIGH",
    "THORAX", "THUMB", "THYROID", "TOE", "TSPINE", "UTERUS", "WHOLEBODY", "WRIST",
})  # fmt: skip
NESTED: Final = ("LUTDescriptor", "LUTData", "ImagePositionPatient", "ImageOrientationPatient")
TAGS: Final = {
    name: BaseTag(tag_for_keyword(name) or 0) for name in (*PIXELS, *LARGE, *SMALL, *NESTED)
}
WANTED: Final[list[BaseTag | int]] = list(TAGS.values())
GROUP_TAGS: Final = tuple(TAGS[name] for name in GROUPS)
MAX_BYTES: Final = {
    **{TAGS[name]: MAX_LARGE_BYTES for name in LARGE},
    **{TAGS[name]: MAX_VALUE_BYTES for name in SMALL},
}  # fmt: skip
COLOUR_MODELS: Final = ("RGB", "YBR")
SLOPE: Final = "RescaleSlope"


@cache
def quieten_pydicom() -> None:
    """Silence pydicom, whose logs and warnings may quote values of the file.

    Threads would undo `warnings.catch_warnings` for each other, so it is not used.
    """
    config.settings.reading_validation_mode = config.IGNORE
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module=r"pydicom\.")


@dataclass(frozen=True, slots=True, eq=False)
class Header:
    """The tags of a file that describe its stored pixels; missing ones are filled in."""

    dataset: Dataset  # windows, tables and places, for `number`, `code`, `table` and `items`
    syntax: uid.UID
    big_endian: bool
    modality: str
    photometric: str  # PhotometricInterpretation
    rows: int
    columns: int
    samples: int  # per pixel
    frames: int
    by_plane: bool  # uncompressed colours: all red, then all green, then all blue
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    float_type: str  # "f4" or "f8"; "" for integers
    pixels: bytes
    in_words: bool  # the pixels are 16-bit words, which big-endian files swap

    @property
    def compressed(self) -> bool:
        return self.syntax not in UNCOMPRESSED


UNCOMPRESSED: Final = (
    uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian,
)  # fmt: skip


def read_header(data: bytes, limits: Limits) -> Header:
    """Parse a file.

    Raises:
        DecodeError: It holds no picture, or too many parts.
    """
    dataset, syntax = _parsed(data, limits)
    found = next((name for name in PIXELS if TAGS[name] in dataset), None)
    if found is None:
        if _is_cut_off(data):  # of a compressed picture without an end, pydicom makes nothing
            raise DecodeError("The picture in this DICOM file is cut off or damaged.")
        raise DecodeError(f"This DICOM file holds no picture{what_it_is(dataset)}.")
    element = _element(dataset, found)
    photometric = code(dataset, "PhotometricInterpretation")
    samples = integer(dataset, "SamplesPerPixel", 0) or 1 + 2 * photometric.startswith(
        COLOUR_MODELS
    )
    allocated, stored = (integer(dataset, name, 0) for name in ("BitsAllocated", "BitsStored"))
    stored = stored or allocated
    return Header(
        dataset=dataset, syntax=syntax, big_endian=syntax == uid.ExplicitVRBigEndian,
        modality=code(dataset, "Modality"), photometric=photometric,
        rows=integer(dataset, "Rows", 0), columns=integer(dataset, "Columns", 0), samples=samples,
        frames=max(integer(dataset, "NumberOfFrames", 1), 1),
        by_plane=integer(dataset, "PlanarConfiguration", 0) == 1,
        bits_allocated=allocated or -(-stored // 8) * 8, bits_stored=stored,
        high_bit=integer(dataset, "HighBit", stored - 1),
        signed=integer(dataset, "PixelRepresentation", 0) == 1, float_type=PIXELS[found],
        pixels=element.value or b"", in_words=element.VR == "OW",
    )  # fmt: skip


def _parsed(data: bytes, limits: Limits) -> tuple[Dataset, uid.UID]:
    """Parse the few needed tags, with values of a sane length, and the transfer syntax."""
    syntax, start = _meta(data)
    reader, wanted = MeteredReader(data), WANTED
    if syntax == uid.DeflatedExplicitVRLittleEndian:
        reader, syntax, start = (
            MeteredReader(_inflate(data[start:], limits)),
            uid.ExplicitVRLittleEndian,
            0,
        )
    if syntax:
        reader.seek(start)
        implicit, big = syntax == uid.ImplicitVRLittleEndian, syntax == uid.ExplicitVRBigEndian
        dataset = read_dataset(reader, implicit, not big, specific_tags=wanted)
    else:
        dataset = dcmread(reader, force=True, specific_tags=wanted)  # several times as slow
        syntax = dataset.file_meta.get("TransferSyntaxUID") or _guessed_syntax(dataset)
    _drop_oversized(dataset)
    return dataset, syntax


def _meta(data: bytes) -> tuple[uid.UID, int]:
    """Read the transfer syntax, "" without an ordinary meta group, and the end of that group."""
    syntax, at = "", 132 if data[128:132] == b"DICM" else len(data)
    for _ in range(MAX_META_ELEMENTS):
        if data[at : at + 2] != b"\2\0":
            break
        long = data[at + 4 : at + 6] in LONG_TYPES
        start = at + (12 if long else 8)
        length = int.from_bytes(data[at + 8 if long else at + 6 : start], "little")
        if data[at + 2 : at + 4] == b"\x10\0":
            syntax = data[start : start + min(length, 64)].decode("latin-1").strip("\0 ")
        at = start + length
    return uid.UID(syntax), at


def _guessed_syntax(dataset: Dataset) -> uid.UID:
    implicit, little = dataset.original_encoding
    if not little:
        return uid.ExplicitVRBigEndian
    return uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian


def _inflate(data: bytes, limits: Limits) -> bytes:
    """Inflate the data set of a deflated file, within a limit."""
    inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, limits.max_bytes + 1)
    if len(inflated) > limits.max_bytes:
        raise DecodeError(
            f"This DICOM file unpacks to more than {limits.max_bytes / 2**20:.0f} MB; "
            "it was not read."
        )
    return inflated


def _drop_oversized(dataset: Dataset) -> None:
    for tag in list(dataset.keys()):
        value, max_bytes = dataset.get_item(tag).value, MAX_BYTES.get(tag)
        if max_bytes is None or not isinstance(value, bytes):
            continue
        if len(value) > max_bytes or max(value.count(item) for item in ITEMS) > MAX_ITEMS:
            del dataset[tag]
            if tag in GROUP_TAGS:  # mark that there were some: frames may have had positions
                dataset.add_new(tag, "SQ", Sequence())


def _is_cut_off(data: bytes) -> bool:
    """Check whether the last pixel data of a file starts but does not end."""
    at = max(data.rfind(tag) for tag in PIXEL_TAGS)
    if at < 0:
        return False
    start = at + (8 if data[at + 4 : at + 6].isalpha() else 4)
    length = int.from_bytes(data[start : start + 4], "big" if data[at] == 0x7F else "little")
    ends = END_OF_SEQUENCE in data[start:] if length == 0xFFFFFFFF else start + length < len(data)
    return not ends


def what_it_is(dataset: Dataset) -> str:
    """Name the SOP class in brackets, such as " (CT Image Storage)"; "" if not in the standard."""
    name = uid.UID(_text(dataset, "SOPClassUID")).name
    return f" ({name})" if name and name in _uid_names() else ""


@cache
def _uid_names() -> frozenset[str]:
    """Return the names of DICOM's own UIDs; no other words of a file are repeated."""
    return frozenset(entry[0] for entry in UID_dictionary.values())


def items(dataset: Dataset, name: str) -> Sequence:
    """Return the items of a sequence; none if it is absent, damaged or something else."""
    try:
        found = dataset.get(name)
    except Exception:  # pydicom parses it only now, and has no common base for what it raises
        return Sequence()
    return found if isinstance(found, Sequence) else Sequence()


def group(dataset: Dataset, frame: int, name: str) -> Dataset | None:
    """Find a functional group of a frame of an enhanced file: its own, else the shared one."""
    for sequence, at in ((GROUPS[1], frame), (GROUPS[0], 0)):
        found = items(dataset, sequence)
        inner = items(found[at], name) if at < len(found) else None
        if inner:
            return inner[0]
    return None


def numbers(source: Dataset, name: str, count: int) -> tuple[float, ...] | None:
    """Return the values of a numeric tag, if there are `count` and all are finite numbers."""
    found = _values(source, name)
    return tuple(found) if len(found) == count and all(map(math.isfinite, found)) else None


def number(source: Dataset, name: str) -> float | None:
    """Return the first value of a numeric tag, if it is a finite number."""
    found = _values(source, name)
    return found[0] if found and math.isfinite(found[0]) else None


def integer(source: Dataset, name: str, default: int) -> int:
    """Return `number` as an integer, or `default`."""
    value = number(source, name)
    return default if value is None else int(value)


def code(source: Dataset, name: str) -> str:
    """Return a code string, or "" if it is absent or malformed."""
    value = _text(source, name).upper()
    return value if CODE.fullmatch(value) else ""


def table(source: Dataset, name: str, *, max_bytes: int = MAX_LARGE_BYTES) -> np.ndarray:
    """Read the 16-bit words of a tag, in the file's byte order: uint16 [N], N = 0 if absent."""
    element = _element(source, name)
    if element is None or len(element.value) > max_bytes:
        return np.empty(0, np.uint16)
    order = "<" if element.is_little_endian else ">"
    words = np.frombuffer(element.value, f"{order}u2", len(element.value) // 2)
    return words.astype(np.uint16)


def _element(source: Dataset, name: str) -> Any:
    """Get a raw tag or None; pydicom's own conversion is slow and stricter than viewers."""
    element = source.get_item(TAGS[name])
    return element if element is not None and isinstance(element.value, bytes) else None


def _text(source: Dataset, name: str) -> str:
    element = _element(source, name)
    value = b"" if element is None else element.value[:MAX_VALUE_BYTES]
    return str(value, "latin-1").strip(" \0")


def _values(source: Dataset, name: str) -> list[float]:
    """Parse a numeric tag, NaN for words that are no number; some writers use decimal commas.

    A tag inside a sequence may be as long as the file, and splitting it takes gigabytes.
    """
    element = _element(source, name)
    if element is None or len(element.value) > MAX_VALUE_BYTES:
        return []
    vr = element.VR if element.VR not in (None, "UN") else dictionary_VR(element.tag)
    if kind := BINARY.get(vr[:2]):
        dtype = np.dtype(kind).newbyteorder("<" if element.is_little_endian else ">")
        count = len(element.value) // dtype.itemsize
        return [float(value) for value in np.frombuffer(element.value, dtype, count)]
    texts = element.value.decode("latin-1").replace(",", ".").split("\\")
    return [_decimal(text.strip(" \0")) for text in texts if text.strip(" \0")]


def _decimal(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def technical(header: Header) -> dict[str, str]:
    """Collect the tags that may be shown, logged and stored."""
    dataset = header.dataset
    found = (
        ("Modality", header.modality, MODALITIES),
        ("BodyPartExamined", code(dataset, "BodyPartExamined"), BODY_PARTS),
        ("PhotometricInterpretation", header.photometric, PHOTOMETRIC),
        ("SOPClass", what_it_is(dataset)[2:-1], _uid_names()),
        ("TransferSyntax", header.syntax.name, _uid_names()),
    )
    texts = {name: text for name, text, known in found if text and text in known}
    names = ("Rows", "Columns", "BitsStored", "NumberOfFrames", "WindowCenter", "WindowWidth")
    values = {name: number(dataset, name) for name in names}
    return texts | {name: f"{value:g}" for name, value in values.items() if value is not None}


def unreadable_numbers(header: Header) -> tuple[str, ...]:
    """Warn of numbers that are present but cannot be used."""
    names = (SLOPE, "RescaleIntercept", "WindowCenter", "WindowWidth")
    texts = {name: _text(header.dataset, name) for name in names}
    found = {name: number(header.dataset, name) for name in names if texts[name]}
    lost = [name for name, value in found.items() if value is None or (name, value) == (SLOPE, 0)]
    return (f"{', '.join(lost)} in this file: no usable number, and ignored.",) if lost else ()


def warnings_about(header: Header) -> tuple[str, ...]:
    """Warn of text that may be burnt into the picture."""
    found = []
    if code(header.dataset, "BurnedInAnnotation") == "YES":
        found.append(
            "The file says that text is burnt into the picture: make sure that it names no patient."
        )
    kind = what_it_is(header.dataset)
    if header.modality == "US" or "Ultrasound" in kind:
        found.append(
            "Ultrasound pictures often have the patient's name burnt in: look before you store it."
        )
    elif "Secondary Capture" in kind:
        found.append(
            "A secondary capture is a screenshot and may show the patient's name: "
            "look before you store it."
        )
    return tuple(found)
