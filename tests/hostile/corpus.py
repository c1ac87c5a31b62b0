"""At least a hundred files that want to hurt a decoder, made by code: lies, bombs, cuts, loops and
polyglots.
"""

import gzip
import io
import random
import struct
import zipfile
import zlib
from collections.abc import Iterable
from functools import cache

import imagecodecs
import numpy as np
import tifffile
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

PATIENT = "DOE^JANE"  # in every DICOM file of the corpus: no message may hold it


def photo(side: int = 96, seed: int = 0) -> np.ndarray:
    """Something like a picture: uint8 [side, side]."""
    y, x = np.mgrid[:side, :side] / side
    noise = np.random.default_rng(seed).integers(0, 20, (side, side))
    return (100 + 100 * np.sin(6 * x) * np.cos(5 * y)).clip(0, 235).astype(np.uint8) + noise.astype(
        np.uint8
    )


def palette() -> dict[str, object]:
    """Tags of a grey palette of 256 entries."""
    prefix = [f"{colour}PaletteColorLookupTable" for colour in ("Red", "Green", "Blue")]
    words = (np.arange(256) * 257).astype("<u2").tobytes()
    return {f"{name}Descriptor": [256, 0, 16] for name in prefix} | {
        f"{name}Data": words for name in prefix
    }


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def dicom(
    pixels: np.ndarray | None = None,
    *,
    syntax: UID = ExplicitVRLittleEndian,
    stream: bytes | None = None,
    preamble: bytes = b"\0" * 128,
    **tags: object,
) -> bytes:
    """A DICOM file. `stream`: one compressed frame; tags override what the pixels say, None leaves
    one out.
    """
    pixels = photo().astype(np.uint16) * 16 if pixels is None else pixels
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.SOPInstanceUID = "1.2.3.4"
    dataset.PatientName = PATIENT
    dataset.PatientID = "4711-0815"
    dataset.Modality = "MR"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    dataset.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.dtype.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes() if stream is None else encapsulate([stream])
    dataset["PixelData"].VR = "OW" if stream is None else "OB"
    dataset["PixelData"].is_undefined_length = stream is not None
    for name, value in tags.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    return written(dataset, syntax=syntax, preamble=preamble)


def written(
    dataset: Dataset, *, syntax: UID = ExplicitVRLittleEndian, preamble: bytes = b"\0" * 128
) -> bytes:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get(
        "SOPClassUID", "1.2.840.10008.5.1.4.1.1.2"
    )
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    dataset.preamble = preamble
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def volume(
    stack: np.ndarray,
    *,
    spacing: Iterable[object] | None = (1, 1),
    rows_to: tuple[float, ...] = (0, 0, -1),
    columns_to: tuple[float, ...] = (0, 1, 0),
    positions: list[list[object]] | None = None,
    streams: list[bytes] | None = None,
    **tags: object,
) -> bytes:
    """An enhanced multi-frame file of [N, rows, columns]: every frame with its place and direction,
    by default sagittal.

    Args:
        stack: The frames.
        spacing: PixelSpacing, which all frames share; None leaves it out.
        rows_to: Where the next row lies, in the patient's coordinates (left, back, head).
        columns_to: Where the next column lies.
        positions: Of each frame; by default a millimetre towards the left after each other.
        streams: The compressed frames.
        tags: As for `dicom`.
    """
    places = [[float(x), 0.0, 0.0] for x in range(len(stack))] if positions is None else positions
    each = []
    for place in places:
        position, plane = Dataset(), Dataset()
        position.ImagePositionPatient, plane.ImageOrientationPatient = (
            list(place),
            [*columns_to, *rows_to],
        )
        each.append(Dataset())
        each[-1].PlanePositionSequence, each[-1].PlaneOrientationSequence = (
            Sequence([position]),
            Sequence([plane]),
        )
    if each:
        tags["PerFrameFunctionalGroupsSequence"] = Sequence(each)
    if spacing is not None:
        measures, shared = Dataset(), Dataset()
        measures.PixelSpacing = list(spacing)
        shared.PixelMeasuresSequence = Sequence([measures])
        tags["SharedFunctionalGroupsSequence"] = Sequence([shared])
    pixels = stack.tobytes() if streams is None else encapsulate(streams)
    tags = {
        "NumberOfFrames": len(stack),
        "PixelData": pixels,
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2.1",
    } | tags
    return dicom(stack[0], stream=None if streams is None else streams[0], **tags)  # type: ignore[arg-type]


def rle(grey: np.ndarray) -> bytes:
    """One segment, of rows of their own."""
    segment = b"".join(map(imagecodecs.packbits_encode, np.ascontiguousarray(grey)))
    return struct.pack("<16I", 1, 64, *[0] * 14) + segment


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(
    width: int, height: int, *extra: bytes, data: bytes | None = None, colour: int = 0
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    body = zlib.compress(b"\0" * 1_000_000, 9) if data is None else data
    chunks = (png_chunk(b"IHDR", header), *extra, png_chunk(b"IDAT", body), png_chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def tiff(*entries: tuple[int, int, int, int], after: int = 0, body: bytes = b"\0" * 4096) -> bytes:
    """A little-endian TIFF: one directory at 8, then `body`; `after` is the offset of the next
    directory.
    """
    directory = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", *entry) for entry in entries
    )
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", after) + body


def plain_tiff_entries(
    width: int = 64, height: int = 64, **changes: int
) -> list[tuple[int, int, int, int]]:
    return [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (259, 3, 1, changes.get("compression", 1)),
        (262, 3, 1, 1),
        (273, 4, 1, 200),
        (277, 3, 1, 1),
        (278, 4, 1, height),
        (279, 4, 1, 4096),
    ]


def jpeg_resized(width: int, height: int, **options: object) -> bytes:
    """A real JPEG whose header claims another size."""
    data = bytearray(saved(Image.fromarray(photo()), "JPEG", **options))
    at = next(i for i in range(2, len(data)) if data[i] == 0xFF and data[i + 1] in (0xC0, 0xC2))
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def nothing_and_noise() -> dict[str, bytes]:
    files = {
        "empty": b"",
        "one zero": b"\0",
        "zeros": b"\0" * 5000,
        "ones": b"\xff" * 5000,
        "newlines": b"\n" * 3000,
    }
    return files | {f"random {seed}": random.Random(seed).randbytes(2000) for seed in range(8)}


def other_kinds() -> dict[str, bytes]:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", b"\0" * 30_000_000)
    entities = (
        b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa"><!ENTITY b '
        b'"&a;&a;&a;&a;&a;&a;">]><svg>&b;</svg>'
    )
    return {
        "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj",
        "html": b"<!DOCTYPE html><html><script>alert(1)</script>",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        "svg entities": entities,
        "xml": b"<?xml version='1.0'?><a/>",
        "zip bomb": bomb.getvalue(),
        "gzip bomb": gzip.compress(b"\0" * 30_000_000),
        "elf": b"\x7fELF\x02\x01\x01" + b"\0" * 200,
        "exe": b"MZ" + b"\x90" * 200,
        "shell": b"#!/bin/sh\nrm -rf /\n",
        "heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        "mp4": b"\0\0\0\x18ftypmp42\0\0\0\0",
        "psd": b"8BPS\0\x01" + b"\0" * 50,
        "jp2": b"\0\0\0\x0cjP  \r\n\x87\n",
        "jxl": b"\xff\x0a" + b"\0" * 50,
        "icon": b"\0\0\x01\0\x01\0" + b"\0" * 50,
        "sqlite": b"SQLite format 3\0" + b"\0" * 100,
        "nifti": b"\x5c\x01\0\0" + b"\0" * 340 + b"n+1\0" + b"\0" * 50,
        "json": b'{"a": [1, 2, 3]}',
        "formula": b'=cmd|"/C calc"!A0,1\n',
        "utf-16": "hello world".encode("utf-16"),
        "npy": b"\x93NUMPY\x01\0v\0{'descr': '|O'}",
        "pickle": b"\x80\x04\x95\x0f\0\0\0\0\0\0\0\x8c\x02os\x94",
        "tar": b"a" * 100 + b"\0" * 412,
    }


def headers_alone() -> dict[str, bytes]:
    starts = {
        "jpeg": b"\xff\xd8\xff\xe0",
        "png": b"\x89PNG\r\n\x1a\n",
        "gif": b"GIF89a",
        "tiff": b"II*\0",
        "tiff be": b"MM\0*",
        "bigtiff": b"II+\0\x08\0\0\0",
        "webp": b"RIFF\0\0\0\0WEBPVP8 ",
        "bmp": b"BM\0\0\0\0\0\0\0\0",
        "dicom": b"\0" * 128 + b"DICM",
        "bare dicom": b"\x08\0\x05\0CS\x0a\0ISO_IR 100",
    }
    padded = {f"{name} then zeros": start + b"\0" * 1000 for name, start in starts.items()}
    return {f"{name} start": start for name, start in starts.items()} | padded


def pixel_bombs() -> dict[str, bytes]:
    ztxt = png_chunk(b"zTXt", b"a\0\0" + zlib.compress(b"a" * 40_000_000))
    profile = png_chunk(b"iCCP", b"a\0\0" + zlib.compress(b"\0" * 40_000_000))
    bmp = bytearray(saved(Image.fromarray(photo()), "BMP"))
    runs = bytearray(bmp[:1078])
    struct.pack_into("<ii", runs, 18, 4000, 4000)
    struct.pack_into(
        "<I", runs, 30, 1
    )  # run-length encoded: one pixel a run, each a step of Python
    struct.pack_into("<ii", bmp, 18, 60_000, 60_000)
    gif = bytearray(saved(Image.fromarray(photo()), "GIF"))
    struct.pack_into("<HH", gif, 6, 65_535, 65_535)
    webp = bytearray(saved(Image.fromarray(photo()).convert("RGB"), "WebP", lossless=True))
    webp[21:25] = struct.pack("<I", 0x0FFFFFFF)  # 16384 × 16384
    progressive = saved(Image.new("L", (4000, 4000)), "JPEG", progressive=True)
    scan = progressive[progressive.rindex(b"\xff\xda") : -2]
    return {
        "png of 4e9 pixels": png(65_000, 65_000),
        "png of 2e9 by 1": png(2**31 - 1, 1),
        "png of no width": png(0, 100),
        "png of 1e8 pixels": png(10_000, 10_000),
        "png rgba over memory": png(8_000, 7_900, colour=6, data=b"x"),
        "png honest 50 megapixels": png(7_000, 7_000, data=zlib.compress(b"\0" * 7_001 * 7_000, 1)),
        "png text bomb": png(64, 64, ztxt),
        "png profile bomb": png(64, 64, profile),
        "png of many chunks": png(64, 64, *[png_chunk(b"tEXt", b"a\0b")] * 200_000),
        "bmp of 4e9 pixels": bytes(bmp),
        "bmp of one-pixel runs": bytes(runs) + b"\x01\x80" * 4_000_000,
        "gif of 4e9 pixels": bytes(gif),
        "gif of tiny comments": bytes(gif[:13]) + b"!\xfe" + b"\x01a" * 3_000_000,
        "webp of 3e8 pixels": bytes(webp),
        "jpeg of 4e9 pixels": jpeg_resized(65_500, 65_500),
        "jpeg of no height": jpeg_resized(96, 0),
        "jpeg wide": jpeg_resized(65_500, 1_000),
        "jpeg progressive of 6e7 pixels": jpeg_resized(8_000, 8_000, progressive=True),
        "jpeg of 300 scans": progressive[:-2] + scan * 300 + b"\xff\xd9",
        "tiff of 4e9 pixels": tiff(*plain_tiff_entries(65_000, 65_000)),
        "tiff deflate bomb": tiff(*plain_tiff_entries(60_000, 1_000, compression=8)),
    }


def tiff_traps() -> dict[str, bytes]:
    tiles = [
        *plain_tiff_entries(),
        (322, 4, 1, 60_000),
        (323, 4, 1, 60_000),
        (324, 4, 1, 200),
        (325, 4, 1, 4096),
    ]
    chain = b"II*\0\x08\0\0\0" + b"".join(
        b"\0\0" + struct.pack("<I", 8 + 6 * (i + 1)) for i in range(500_000)
    )
    overlap = b"II*\0\x08\0\0\0" + struct.pack("<H", 65_535) + b"\x01" * 12 * 65_535 + b"\x08\0\0\0"
    return {
        "tiff in a circle": tiff(*plain_tiff_entries(), after=8),
        "tiff of 500,000 pages": chain,
        "tiff of 65,535 entries": overlap,
        "tiff entry of 1e9 values": tiff(*plain_tiff_entries()[:5], (273, 4, 1_000_000_000, 200)),
        "tiff huge tiles": tiff(*tiles),
        "tiff strip outside": tiff(
            *[e if e[0] != 273 else (273, 4, 1, 2**31) for e in plain_tiff_entries()]
        ),
        "tiff unknown compression": tiff(*plain_tiff_entries(compression=9_999)),
        "tiff jpeg inside": tiff(*plain_tiff_entries(compression=7)),
        "tiff fax inside": tiff(*plain_tiff_entries(compression=4)),
        "tiff lzw inside": tiff(*plain_tiff_entries(compression=5)),
        "tiff no entries": tiff(),
        "tiff directory outside": b"II*\0\xff\xff\xff\x7f",
        "bigtiff directory outside": b"II+\0\x08\0\0\0" + b"\xff" * 8,
    }


@cache
def honest() -> dict[str, bytes]:
    """A real file of each kind."""
    grey = Image.fromarray(photo())
    files = {kind: saved(grey, kind) for kind in ("JPEG", "PNG", "BMP", "TIFF", "GIF")}
    deep = photo().astype(np.uint16) * 16
    tiff_file = io.BytesIO()
    tifffile.imwrite(tiff_file, photo().astype(np.float32), compression="zlib", rowsperstrip=10)
    return files | {
        "deep TIFF": tiff_file.getvalue(),
        "deep PNG": imagecodecs.png_encode(np.stack([deep] * 3, 2)),
        "lossless JPEG": imagecodecs.jpeg8_encode(deep, lossless=True, bitspersample=16),
        "JPEG-LS": imagecodecs.jpegls_encode(deep),
        "DICOM RLE": dicom(photo(), syntax=RLELossless, stream=rle(photo())),
        "WebP": saved(grey.convert("RGB"), "WebP"),
        "progressive JPEG": saved(grey.convert("RGB"), "JPEG", progressive=True),
        "LZW TIFF": saved(grey, "TIFF", compression="tiff_lzw"),
        "DICOM": dicom(),
        "DICOM JPEG": dicom(photo(), syntax=JPEGBaseline8Bit, stream=saved(grey, "JPEG")),
        "DICOM JPEG Lossless": dicom(
            deep,
            syntax=JPEGLosslessSV1,
            stream=imagecodecs.jpeg8_encode(deep, lossless=True, bitspersample=16),
        ),
        "DICOM JPEG-LS": dicom(deep, syntax=JPEGLSLossless, stream=imagecodecs.jpegls_encode(deep)),
        "DICOM JPEG 2000": dicom(
            deep,
            syntax=JPEG2000Lossless,
            stream=imagecodecs.jpeg2k_encode(deep, codecformat="j2k", level=0),
        ),
    }


def cut_off() -> dict[str, bytes]:
    return {
        f"{kind} cut at {share:.0%}": data[: int(len(data) * share)]
        for kind, data in honest().items()
        for share in (0.1, 0.5, 0.97)
    }


def polyglots() -> dict[str, bytes]:
    files = honest()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as z:
        z.writestr("evil.html", "<script>")
    exif = Image.Exif()
    exif[0x0112] = 99
    turned = saved(Image.fromarray(photo()), "JPEG", exif=exif)
    damaged = (
        b"\xff\xd8\xff\xe1\x00\x20Exif\0\0II*\0\xff\xff\xff\x7f" + b"\xff" * 16 + files["JPEG"][2:]
    )
    return {
        "jpeg and zip": files["JPEG"] + archive.getvalue(),
        "png and html": files["PNG"] + b"<script>alert(1)</script>",
        "gif and script": b"GIF89a/*" + files["GIF"][8:] + b"*/=1;alert(1)",
        "jpeg turned to 99": turned,
        "jpeg with broken exif": damaged,
        "dicom behind a pdf": dicom(preamble=b"%PDF-1.4\n".ljust(128)),
        "dicom behind a tiff": dicom(preamble=b"II*\0\x08\0\0\0".ljust(128, b"\0")),
        "dicom behind a program": dicom(preamble=b"MZ".ljust(128, b"\0")),
        "dicom behind html": dicom(preamble=b"<html><script>".ljust(128)),
        "two jpegs": files["JPEG"] * 2,
        "png inside jpeg": files["JPEG"][:20] + files["PNG"],
    }


def dicom_lies() -> dict[str, bytes]:
    files = honest()
    j2k = bytearray(imagecodecs.jpeg2k_encode(photo(), codecformat="j2k", level=0))
    struct.pack_into(">II", j2k, 24, 1, 1)  # tiles of one pixel
    lut = Dataset()
    lut.LUTDescriptor, lut.LUTData = [0, 0, 16], b"\1\0\2\0\3\0"
    empty_lut = Dataset()
    rgb = np.zeros((32, 32, 3), np.uint8)
    jpeg = files["JPEG"]
    return {
        "dicom of 4e9 pixels": dicom(Rows=65_535, Columns=65_535),
        "dicom wide": dicom(Rows=1, Columns=65_535),
        "dicom of no rows": dicom(Rows=0),
        "dicom without rows": dicom(Rows=None),
        "dicom without pixels": dicom(PixelData=None),
        "dicom with few pixels": dicom(PixelData=b"\0\0"),
        "dicom with empty pixels": dicom(PixelData=b""),
        "dicom of 1e9 frames": dicom(NumberOfFrames=1_000_000_000),
        "dicom of minus one frame": dicom(NumberOfFrames=-1),
        "dicom of 500 frames, one there": dicom(NumberOfFrames=500),
        "dicom of 13 bits": dicom(BitsAllocated=13),
        "dicom of 7 samples": dicom(SamplesPerPixel=7),
        "dicom of 3 samples, grey": dicom(SamplesPerPixel=3),
        "dicom bits stored 60": dicom(BitsStored=60),
        "dicom bits stored 0": dicom(BitsStored=0),
        "dicom without bits": dicom(BitsAllocated=None),
        "dicom window of zero": dicom(WindowCenter=1, WindowWidth=0),
        "dicom window below zero": dicom(WindowCenter=1, WindowWidth=-5),
        "dicom window nowhere": dicom(WindowCenter=1e9, WindowWidth=1),
        "dicom sigmoid": dicom(WindowCenter=0, WindowWidth=1e-9, VOILUTFunction="SIGMOID"),
        "dicom slope 1e300": dicom(RescaleSlope="1e300", RescaleIntercept="0"),
        "dicom slope zero": dicom(RescaleSlope=0, RescaleIntercept=5),
        "dicom short lut": dicom(VOILUTSequence=Sequence([lut])),
        "dicom empty lut": dicom(VOILUTSequence=Sequence([empty_lut])),
        "dicom empty modality lut": dicom(ModalityLUTSequence=Sequence([empty_lut])),
        "dicom palette missing": dicom(photo(), PhotometricInterpretation="PALETTE COLOR"),
        "dicom strange colours": dicom(PhotometricInterpretation="HSV"),
        "dicom rgb says grey": dicom(rgb, PhotometricInterpretation="MONOCHROME2"),
        "dicom ybr odd": dicom(rgb[:31, :31], PhotometricInterpretation="YBR_FULL_422"),
        "dicom unknown syntax": files["DICOM JPEG"].replace(b"10008.1.2.4.50", b"19999.1.2.4.50"),
        "dicom mpeg": dicom(syntax=UID("1.2.840.10008.1.2.4.103"), stream=jpeg),
        "dicom jpeg that is none": dicom(photo(), syntax=JPEGBaseline8Bit, stream=b"\0" * 500),
        "dicom jpeg that is png": dicom(photo(), syntax=JPEGBaseline8Bit, stream=files["PNG"]),
        "dicom jpeg of another size": dicom(photo(64), syntax=JPEGBaseline8Bit, stream=jpeg),
        "dicom jpeg 4e9": dicom(
            photo(), syntax=JPEGBaseline8Bit, stream=jpeg_resized(65_500, 65_500)
        ),
        "dicom lossless is baseline": dicom(photo(), syntax=JPEGLosslessSV1, stream=jpeg),
        "dicom j2k tiny tiles": dicom(photo(), syntax=JPEG2000Lossless, stream=bytes(j2k)),
        "dicom j2k of nothing": dicom(
            photo(), syntax=JPEG2000Lossless, stream=b"\xff\x4f\xff\x51" + b"\0" * 60
        ),
        "dicom rle of nothing": dicom(photo(), syntax=RLELossless, stream=b"\xff" * 200),
        "dicom palette of 4.9e7 pixels": dicom(
            np.zeros((7_000, 7_000), np.uint8),
            PhotometricInterpretation="PALETTE COLOR",
            **palette(),
        ),
        "dicom rle bomb": dicom(
            np.zeros((6_000, 6_000), np.uint8),
            syntax=RLELossless,
            stream=struct.pack("<16I", 1, 64, *[0] * 14) + b"\x00a" * 3_000_000,
        ),
    }


def dicom_streams_cut_off() -> dict[str, bytes]:
    """Whole DICOM files around streams without end; CharLS took 5 s for the one of 1,778 bytes."""
    deep = photo().astype(np.uint16) * 16
    streams = {
        JPEGBaseline8Bit: saved(Image.fromarray(photo()), "JPEG"),
        JPEGLSLossless: imagecodecs.jpegls_encode(deep),
        JPEGLosslessSV1: imagecodecs.jpeg8_encode(deep, lossless=True, bitspersample=16),
        JPEG2000Lossless: imagecodecs.jpeg2k_encode(deep, codecformat="j2k", level=0),
    }
    return {
        f"dicom {syntax.name} of {size} bytes": dicom(
            photo() if syntax == JPEGBaseline8Bit else deep, syntax=syntax, stream=stream[:size]
        )
        for syntax, stream in streams.items()
        for size in (60, 200, 1_000, 1_778, len(stream) - 3)
    }


def dicom_traps() -> dict[str, bytes]:
    start = dicom()[:-9_000]
    deep = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff" * 50_000
    many = b"\x09\0\x01\0LO\0\0" * 2_000_000
    items = b"\x40\0\x01\xa7SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\0\xe0\0\0\0\0" * 1_000_000
    head = written(Dataset(), syntax=ExplicitVRLittleEndian)
    deflated = written(Dataset(), syntax=DeflatedExplicitVRLittleEndian)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = b"".join(packer.compress(b"\0" * 10**7) for _ in range(30)) + packer.flush()
    window = b"\x28\0\x50\x10UN\0\0" + struct.pack("<I", 8_000_000) + b"1\\2\\" * 2_000_000
    fragments = dicom(photo(), syntax=JPEGBaseline8Bit, stream=b"\0\0")
    at = fragments.rindex(b"\xfe\xff\0\xe0")
    return {
        "dicom nested 50,000 deep": head + deep,
        "dicom of 2,000,000 elements": head + many,
        "dicom of 1,000,000 items": head + items,
        "dicom deflate bomb": deflated[: len(deflated) - 2] + bomb,
        "dicom window of 4,000,000 values": head + window,
        "dicom of 500,000 fragments": fragments[:at]
        + b"\xfe\xff\0\xe0\0\0\0\0" * 500_000
        + b"\xfe\xff\xdd\xe0\0\0\0\0",
        "dicom cut in the header": start[:400],
        "dicom without end": start,
        "dicom length over the end": head + b"\xe0\x7f\x10\0OW\0\0\xf0\xff\xff\xff" + b"\0" * 1000,
        "dicom bad type": head + b"\x28\0\x10\0??\x02\0\x40\0",
        "dicom twice": dicom() * 2,
        "dicom of one frame too many": dicom(NumberOfFrames=2_001),
    }


def dicom_volumes() -> dict[str, bytes]:
    """Volumes that are to be cut across: with numbers that cannot be, and with more work than there
    is time for.
    """
    small, noise = (
        np.zeros((64, 20, 60), np.uint8),
        np.random.default_rng(0).integers(0, 4096, (256, 256), np.uint16),
    )
    j2k = imagecodecs.jpeg2k_encode(noise, codecformat="j2k", level=0)
    tiles = bytearray(j2k)
    struct.pack_into(">II", tiles, 24, 4, 4)
    slow, cut = np.broadcast_to(noise, (300, 256, 256)), np.broadcast_to(noise, (48, 256, 256))
    thin = {"rows_to": (0, 0, -1), "spacing": (0.05, 1)}
    numbers = {"zero": 0, "minus one": -1, "nan": "nan", "1e300": "1e300", "tiny": "1e-300"}
    return {
        **{
            f"dicom volume, spacing {name}": volume(small, spacing=[value, value])
            for name, value in numbers.items()
        },
        **{
            f"dicom volume, positions {name}": volume(small, positions=[[value] * 3] * 64)
            for name, value in numbers.items()
        },
        **{
            f"dicom volume, thickness {name}": volume(
                small, positions=[], Modality="CT", SliceThickness=value
            )
            for name, value in numbers.items()
        },
        "dicom volume, spacing in words": volume(small, spacing=["7.25", "7.25"]).replace(
            b"7.25", b"DOE^"
        ),
        "dicom volume, positions 1e300 apart": volume(
            small, positions=[[f"{i}e300", 0, 0] for i in range(64)]
        ),
        "dicom volume, no direction": volume(small, rows_to=(0, 0, 0), columns_to=(0, 0, 0)),
        "dicom volume, few places": volume(small, positions=[[0, 0, 0]] * 3),
        "dicom volume of slow frames": volume(
            slow, syntax=JPEG2000Lossless, streams=[j2k] * 300, **thin
        ),
        "dicom volume of tiny tiles": volume(
            slow, syntax=JPEG2000Lossless, streams=[bytes(tiles)] * 300, **thin
        ),
        "dicom volume with a damaged frame": volume(
            cut, syntax=JPEG2000Lossless, streams=[*[j2k] * 47, j2k[:90] + b"\xff\xd9"], **thin
        ),
        "dicom volume of 1,500 frames": volume(
            np.zeros((1_500, 8, 1_000), np.uint8), spacing=(0.05, 1)
        ),
        "dicom nested window of 8,000,000 values": long_nested_window(),
    }


def long_nested_window() -> bytes:
    """Without types, where a window inside a sequence may be as long as the file."""
    endless, values = b"\xff\xff\xff\xff", b"1\\" * 8_000_000
    opened = (
        b"\0\x52\x30\x92"
        + endless
        + b"\xfe\xff\0\xe0"
        + endless
        + b"\x28\0\x32\x91"
        + endless
        + b"\xfe\xff\0\xe0"
        + endless
    )
    window = (
        b"\x28\0\x50\x10"
        + struct.pack("<I", len(values))
        + values
        + b"\x28\0\x51\x10"
        + struct.pack("<I", 2)
        + b"1 "
    )
    closed = (b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0") * 2
    data = dicom(syntax=ImplicitVRLittleEndian)
    at = data.index(b"\xe0\x7f\x10\0")
    return data[:at] + opened + window + closed + data[at:]


def mutants(content: bytes, seed: int, *, count: int) -> list[bytes]:
    """Damage where it hurts: half of it in the first bytes, where sizes and tables are."""
    rng, found = random.Random(seed), []
    for _ in range(count):
        mutant = bytearray(content)
        for _ in range(rng.choice((1, 1, 2, 4, 16))):
            span = len(mutant) if rng.random() < 0.5 else min(len(mutant), 700)
            mutant[rng.randrange(span)] = rng.randrange(256)
        found.append(
            bytes(mutant[: rng.randrange(1, len(mutant))] if rng.random() < 0.2 else mutant)
        )
    return found


@cache
def corpus() -> dict[str, bytes]:
    """Every file by a name that says what is wrong with it."""
    parts = (
        nothing_and_noise,
        other_kinds,
        headers_alone,
        pixel_bombs,
        tiff_traps,
        cut_off,
        polyglots,
        dicom_lies,
        dicom_streams_cut_off,
        dicom_traps,
        dicom_volumes,
    )
    return {name: data for part in parts for name, data in part().items()}
