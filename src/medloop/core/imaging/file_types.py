"""What a file is, by its first bytes and never by its name; and a sentence for what medloop cannot read."""

from __future__ import annotations

import re
from typing import Final, Literal

from medloop.errors import DecodeError

Kind = Literal["JPEG", "PNG", "BMP", "TIFF", "WebP", "GIF", "DICOM"]
READABLE: Final = "JPEG, PNG, BMP, TIFF, WebP, GIF and DICOM"

IMAGES: Final[tuple[tuple[bytes, Kind], ...]] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),  # BigTIFF
    (b"MM\0+", "TIFF"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
)
BMP_HEADERS: Final = (12, 16, 40, 52, 56, 64, 108, 124)  # lengths
OTHERS: Final = (
    (re.compile(rb"%PDF-"), "a PDF"),
    (re.compile(rb"PK(\x03\x04|\x05\x06|\x07\x08)"), "a zip archive or an office document"),
    (re.compile(rb"\x1f\x8b"), "a gzip archive"),
    (re.compile(rb"Rar!|7z\xbc\xaf|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd"), "an archive"),
    (re.compile(rb"....ftyp(heic|heix|mif1|msf1|avif|avis)", re.DOTALL), "a HEIF or AVIF picture"),
    (re.compile(rb"....ftyp", re.DOTALL), "a video"),
    (re.compile(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"), "a JPEG 2000 picture outside of DICOM"),
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL "), "a JPEG XL picture"),
    (re.compile(rb"8BPS"), "a Photoshop file"),
    (re.compile(rb"\0\0[\x01\x02]\0.\0"), "an icon"),
    (re.compile(rb"\x7fELF|MZ.{58}", re.DOTALL), "a program"),
    (re.compile(rb"SQLite format 3\0"), "a database"),
    (re.compile(rb"NRRD000"), "an NRRD volume"),
    (re.compile(rb"\x89HDF\r\n"), "an HDF5 file"),
    (re.compile(rb".{344}(n\+1|ni1)\0", re.DOTALL), "a NIfTI volume"),
    (re.compile(rb"\x93NUMPY"), "a NumPy array"),
)
SVG: Final = re.compile(rb"<svg[\s>]", re.IGNORECASE)
HTML: Final = re.compile(rb"<(!doctype\s+html|html|head|body|script|iframe)[\s>]", re.IGNORECASE)
DICOM_PREFIX: Final = (
    b"DICM"  # after a preamble of 128 bytes that may hold anything, another file's start included
)
# Without preamble and prefix a data set starts right away: the meta group, or the identifying group. An
# explicit element has two capital letters for its type, an implicit one a length that fits into the file.
BARE_GROUPS: Final = (b"\x02\0", b"\x08\0", b"\0\x02", b"\0\x08")


def kind_of(data: bytes) -> Kind:
    """What the bytes are.

    A DICOM file whose preamble holds a TIFF header (a legal double, PS3.10 C) counts as DICOM.

    Raises:
        DecodeError: Nothing that medloop reads; the message says what it is where that can be told.
    """
    if not data:
        raise DecodeError("This file is empty.")
    if data[128:132] == DICOM_PREFIX:
        return "DICOM"
    for magic, kind in IMAGES:
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    # "BM" alone starts many a text; next come two reserved fields, which not all writers leave at 0.
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in BMP_HEADERS:
        return "BMP"
    if _starts_like_bare_dicom(data):
        return "DICOM"
    raise DecodeError(
        f"This is {_name_of(data)}, not an image that medloop reads. It reads {READABLE}."
    )


def _starts_like_bare_dicom(data: bytes) -> bool:
    if len(data) < 16 or data[:2] not in BARE_GROUPS:
        return False
    if data[4:6].isalpha() and data[4:6].isupper():
        return True
    return (
        data[1] == 0 and data[3] == 0 and int.from_bytes(data[4:8], "little") < min(len(data), 1024)
    )


def _name_of(data: bytes) -> str:
    for pattern, name in OTHERS:
        if pattern.match(data):
            return name
    head = data[:4096]
    if SVG.search(head):
        return "an SVG drawing"
    if HTML.search(head):
        return "a web page"
    if b"%PDF-" in head[:1024]:
        return "a PDF"
    if head.lstrip().startswith(b"<?xml"):
        return "an XML document"
    return "a text file" if _is_text(head) else "a file of an unknown kind"


def _is_text(head: bytes) -> bool:
    try:
        head[: len(head) - 3].decode("utf-8")  # a character may be cut off at the end
    except UnicodeDecodeError:
        return False
    return b"\0" not in head
