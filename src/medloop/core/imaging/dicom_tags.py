"""The few DICOM tags that medloop reads, and what of them may be told.

Everything here is bounded: a hostile file may hold millions of elements, values of megabytes, or unpack to
gigabytes. Of the tags only `technical` ones leave, each held to a list or a pattern that no name or free text fits.
"""

from __future__ import annotations

import logging
import math
import re
import warnings
import zlib
from functools import cache
from typing import Any, Final

from pydicom import config, dcmread, uid
from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence

from medloop.core.imaging.limits import Limits
from medloop.core.imaging.read_limit import MeteredReader
from medloop.errors import DecodeError

PIXELS: Final = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
GROUPS: Final = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
LARGE: Final = (  # tags whose value may exceed MAX_VALUE_BYTES
    *GROUPS, "VOILUTSequence", "ModalityLUTSequence", "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData", "BluePaletteColorLookupTableData", "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
)  # fmt: skip
SMALL: Final = (
    "SOPClassUID", "Modality", "BodyPartExamined", "BurnedInAnnotation", "Rows", "Columns", "SamplesPerPixel",
    "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "PixelPaddingValue", "RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth",
    "VOILUTFunction", "RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor", "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing",
    "PixelAspectRatio", "SpacingBetweenSlices", "SliceThickness",
)  # fmt: skip
MAX_VALUE_BYTES: Final = (
    64 * 2**10
)  # a value of a small tag: a hostile one takes long to split into numbers
MAX_LARGE_BYTES: Final = 2**20
MAX_ITEMS: Final = (
    50_000  # of all sequences and compressed frames; 2,000 enhanced frames take about 25,000
)
ITEMS: Final = (
    b"\xfe\xff\x00\xe0",
    b"\xff\xfe\xe0\x00",
)  # what an item starts with, little and big endian
DEFLATED: Final = str(uid.DeflatedExplicitVRLittleEndian).encode()
CODE: Final = re.compile(r"[A-Z0-9_ ]{1,16}")  # a DICOM code string
# Lists alone: a code is free text on some scanners, and free text may be a name.
MODALITIES: Final = frozenset({
    "CR", "CT", "DX", "ES", "GM", "IO", "IVUS", "MG", "MR", "NM", "OCT", "OP", "OPT", "OT", "PT", "PX", "RF", "RG",
    "RTDOSE", "RTIMAGE", "SC", "SEG", "SM", "TG", "US", "XA", "XC",
})  # fmt: skip
PHOTOMETRIC: Final = frozenset({
    "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_ICT",
    "YBR_RCT", "XYB",
})  # fmt: skip
BODY_PARTS: Final = frozenset({
    "ABDOMEN", "ABDOMENPELVIS", "ANKLE", "AORTA", "ARM", "BLADDER", "BRAIN", "BREAST", "CALF", "CAROTID", "CHEST",
    "CHESTABDOMEN", "CHESTABDPELVIS", "CLAVICLE", "COCCYX", "COLON", "CSPINE", "EAR", "ELBOW", "EXTREMITY", "EYE",
    "FACE", "FEMUR", "FINGER", "FOOT", "FOREARM", "HAND", "HEAD", "HEADNECK", "HEART", "HIP", "HUMERUS", "JAW",
    "KIDNEY", "KNEE", "LEG", "LIVER", "LSPINE", "LUNG", "MAXILLA", "NECK", "ORBIT", "PANCREAS", "PELVIS", "PROSTATE",
    "RIB", "SCAPULA", "SHOULDER", "SINUS", "SKULL", "SPINE", "SSPINE", "STERNUM", "TESTIS", "THIGH", "THORAX",
    "THUMB", "THYROID", "TOE", "TSPINE", "UTERUS", "WHOLEBODY", "WRIST",
})  # fmt: skip


@cache
def quieten_pydicom() -> None:
    """What pydicom logs and warns about may quote values of the file, so none of it may reach a log.

    Not by `warnings.catch_warnings`, which threads would undo for each other.
    """
    config.settings.reading_validation_mode = config.IGNORE
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module=r"pydicom\.")


def parse(data: bytes, limits: Limits) -> Dataset:
    """The few tags that are needed, with values of a sane length."""
    if max(data.count(item) for item in ITEMS) > MAX_ITEMS:
        raise DecodeError(
            f"This DICOM file holds more than {MAX_ITEMS:,} items and looks like an attack."
        )
    tags: list[Any] = [tag_for_keyword(name) for name in (*PIXELS, *LARGE, *SMALL)]
    if DEFLATED in data[:2048]:
        inflated = _inflate(data, limits)
        dataset = read_dataset(
            MeteredReader(inflated), is_implicit_VR=False, is_little_endian=True, specific_tags=tags
        )
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
        dataset.set_original_encoding(is_implicit_vr=False, is_little_endian=True)
    else:
        dataset = dcmread(MeteredReader(data), force=True, specific_tags=tags)
    _drop_oversized(dataset)
    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = _guessed_syntax(dataset)
    return dataset


def _guessed_syntax(dataset: Dataset) -> uid.UID:
    implicit, little = dataset.original_encoding
    if not little:
        return uid.ExplicitVRBigEndian
    return uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian


def _inflate(data: bytes, limits: Limits) -> bytes:
    """The data set of a deflated file; its size is bounded before it exists."""
    if data[128:140] != b"DICM\x02\0\0\0UL\x04\0":
        raise DecodeError("This deflated DICOM file is damaged: its meta header has no length.")
    start = 144 + int.from_bytes(data[140:144], "little")
    inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[start:], limits.max_bytes + 1)
    if len(inflated) > limits.max_bytes:
        raise DecodeError(
            f"This DICOM file unpacks to more than {limits.max_bytes / 2**20:.0f} MB; it was not read."
        )
    return inflated


def _drop_oversized(dataset: Dataset) -> None:
    for names, most in ((SMALL, MAX_VALUE_BYTES), (LARGE, MAX_LARGE_BYTES)):
        for name in names:
            if name in dataset:
                value = dataset.get_item(name).value
                if isinstance(value, bytes) and len(value) > most:
                    del dataset[name]
                    if name in GROUPS:
                        setattr(
                            dataset, name, Sequence()
                        )  # there were some: that no frame has a place is not known


def what_it_is(dataset: Dataset) -> str:
    """Its SOP class in brackets, such as " (CT Image Storage)"; "" for one that the standard does not know."""
    name = uid.UID(str(dataset.get("SOPClassUID", ""))).name
    return f" ({name})" if name and name in _uid_names() else ""


@cache
def _uid_names() -> frozenset[str]:
    """The names of DICOM's own UIDs; a file's words that are none of them are not repeated."""
    return frozenset(entry[0] for entry in UID_dictionary.values())


def items(dataset: Dataset, name: str) -> Sequence:
    """The items of a sequence; none where it is absent, damaged or something else."""
    try:
        found = dataset.get(name)
    except Exception:  # pydicom parses it only now, and has no common base for what it raises
        return Sequence()
    return found if isinstance(found, Sequence) else Sequence()


def group(dataset: Dataset, frame: int, name: str) -> Dataset | None:
    """A functional group of a frame of an enhanced file: its own, else the one that all share."""
    for sequence, at in ((GROUPS[1], frame), (GROUPS[0], 0)):
        found = items(dataset, sequence)
        inner = items(found[at], name) if at < len(found) else None
        if inner:
            return inner[0]
    return None


def numbers(dataset: Dataset, name: str, count: int) -> tuple[float, ...] | None:
    """The values of a numeric tag, if there are `count` and all of them are finite numbers."""
    try:
        found = tuple(float(value) for value in _values(dataset, name))
    except (TypeError, ValueError, KeyError, NotImplementedError, OverflowError):
        return None
    return found if len(found) == count and all(map(math.isfinite, found)) else None


def number(dataset: Dataset, name: str) -> float | None:
    """The first value of a numeric tag, if it is one and finite."""
    try:
        number = float(_values(dataset, name)[0])
    except (TypeError, ValueError, IndexError, KeyError, NotImplementedError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _values(dataset: Dataset, name: str) -> list[Any]:
    """What a tag holds. One inside a sequence may be as long as the file, and to split it takes gigabytes."""
    if name not in dataset:
        return []
    raw = dataset.get_item(name).value
    if isinstance(raw, bytes) and len(raw) > MAX_VALUE_BYTES:
        return []
    value = dataset.get(name)
    several = hasattr(value, "__getitem__") and not isinstance(value, (str, bytes))
    return list(value) if several else [value]


def integer(dataset: Dataset, name: str, default: int) -> int:
    """`number` as a whole one, or `default`."""
    value = number(dataset, name)
    return default if value is None else int(value)


def code(dataset: Dataset, name: str) -> str:
    """A code string, or "" where it is absent or is not one."""
    try:
        value = str(dataset.get(name) or "").strip().upper()
    except (ValueError, NotImplementedError):
        return ""
    return value if CODE.fullmatch(value) else ""


def technical(dataset: Dataset) -> dict[str, str]:
    """What may be shown, logged and stored about the file."""
    syntax = dataset.file_meta.TransferSyntaxUID.name
    known = {
        "Modality": MODALITIES,
        "BodyPartExamined": BODY_PARTS,
        "PhotometricInterpretation": PHOTOMETRIC,
    }
    texts = {
        name: code(dataset, name) for name, words in known.items() if code(dataset, name) in words
    }
    texts["SOPClass"] = what_it_is(dataset)[2:-1]
    texts["TransferSyntax"] = syntax if syntax in _uid_names() else ""
    numbers = ("Rows", "Columns", "BitsStored", "NumberOfFrames", "WindowCenter", "WindowWidth")
    found = {name: number(dataset, name) for name in numbers}
    texts |= {name: f"{value:g}" for name, value in found.items() if value is not None}
    return {name: text for name, text in texts.items() if text}


def warnings_about(dataset: Dataset) -> tuple[str, ...]:
    """Sentences about text that may be burnt into the picture."""
    found = []
    if code(dataset, "BurnedInAnnotation") == "YES":
        found.append(
            "The file says that text is burnt into the picture: make sure that it names no patient."
        )
    kind = what_it_is(dataset)
    if code(dataset, "Modality") == "US" or "Ultrasound" in kind:
        found.append(
            "Ultrasound pictures often have the patient's name burnt in: look before you store it."
        )
    elif "Secondary Capture" in kind:
        found.append(
            "A secondary capture is a screenshot and may show the patient's name: look before you store it."
        )
    return tuple(found)
