"""pydicom's own test files and generated ones, beside the pictures that dcmtk makes of them.

Both are given the same window, so that only the reading is compared. dcmtk rounds grey levels down.
What dcmtk can't read, such as JPEG 2000, is compared with pydicom.
"""

import io
import math
import os
import shutil
import subprocess
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom.data
import pytest
from PIL import Image
from pydicom import uid
from pydicom.pixels import apply_rescale, pixel_array
from tests.hostile.corpus import dicom, photo

from medloop.core.imaging.decode import decode
from medloop.core.imaging.dicom_tags import Header, number, quieten_pydicom, read_header
from medloop.core.imaging.limits import Limits
from medloop.errors import DecodeError

pytestmark = [
    pytest.mark.filterwarnings("ignore:::pydicom.*"),
    pytest.mark.skipif(
        shutil.which("dcmj2pnm") is None and not os.environ.get("REQUIRE_DCMTK"),
        reason="apt-get install dcmtk",
    ),
]

SHIPPED = Path(pydicom.data.__file__).parent / "test_files"
MAX_MEAN_LEVELS = 2.0
JPEG_LS = uid.JPEGLSLossless[:-1].encode()  # starts both of its transfer syntaxes
DCMTK_IS_WRONG = {"rtdose_expb.dcm", "rtdose_expb_1frame.dcm"}  # big endian of 32 bits: one grey
SHOWN_BY_MEDLOOP_ALONE = {"GDCMJ2K_TextGBR.dcm"}  # its JPEG 2000 stream lacks the end


def test_shipped_files_look_as_others_show_them(tmp_path: Path) -> None:
    differences = {
        path.relative_to(SHIPPED).as_posix(): difference
        for path in sorted(SHIPPED.rglob("*"))
        if path.is_file()
        and (difference := beside_others(path.read_bytes(), tmp_path, path.name)) is not None
    }
    assert len(differences) >= 90
    alone = {name for name, levels in differences.items() if math.isnan(levels)}
    assert alone == SHOWN_BY_MEDLOOP_ALONE
    apart = {name: levels for name, levels in differences.items() if levels > MAX_MEAN_LEVELS}
    assert apart == {}


BITS = [
    (8, 8, 7),
    (16, 8, 7),
    (16, 10, 9),
    (16, 12, 11),
    (16, 14, 13),
    (16, 16, 15),
    (16, 12, 15),
    (16, 10, 13),
]


@pytest.mark.parametrize(("allocated", "stored", "high"), BITS)
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(
    "packing", ["little", "implicit", "big", "deflated", "RLE", "JPEG Lossless", "JPEG-LS"]
)
def test_any_bits_in_any_packing(
    allocated: int, stored: int, high: int, signed: bool, packing: str, tmp_path: Path
) -> None:
    plain = grey(allocated, stored, high, signed=signed)
    data = packed(plain, packing, tmp_path)
    difference = beside_others(data, tmp_path)
    assert difference is not None
    assert difference <= MAX_MEAN_LEVELS
    np.testing.assert_array_equal(decode(data).pixels, decode(plain).pixels)


@pytest.mark.parametrize("by_plane", [0, 1])
@pytest.mark.parametrize(
    "packing", ["little", "implicit", "big", "deflated", "RLE", "JPEG Lossless", "JPEG-LS"]
)
def test_colours_in_any_packing(by_plane: int, packing: str, tmp_path: Path) -> None:
    stored = np.moveaxis(COLOURS, 2, 0) if by_plane else COLOURS
    plain = dicom(COLOURS, PlanarConfiguration=by_plane, PixelData=stored.tobytes())
    difference = beside_others(packed(plain, packing, tmp_path), tmp_path)
    assert difference is not None
    assert difference <= MAX_MEAN_LEVELS


@pytest.mark.parametrize("model", ["RGB", "YBR_RCT", "YBR_ICT"])
def test_colours_in_jpeg_2000(model: str, tmp_path: Path) -> None:
    stream = imagecodecs.jpeg2k_encode(COLOURS, codecformat="j2k", level=0, mct=model != "RGB")
    data = dicom(
        COLOURS, syntax=uid.JPEG2000Lossless, stream=stream, PhotometricInterpretation=model
    )
    difference = beside_others(data, tmp_path)
    assert difference is not None
    assert difference <= MAX_MEAN_LEVELS


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("signed_stream", [False, True])
@pytest.mark.parametrize("signed", [False, True])
def test_signs_in_jpeg_2000(bits: int, signed_stream: bool, signed: bool, tmp_path: Path) -> None:
    values = (photo().astype(np.int32) << (bits - 8)) - (2 ** (bits - 1) if signed_stream else 0)
    values = values.astype(f"{'i' if signed_stream else 'u'}{1 if bits == 8 else 2}")
    stream = imagecodecs.jpeg2k_encode(values, codecformat="j2k", level=0, bitspersample=bits)
    tags = {"BitsStored": bits, "HighBit": bits - 1, "PixelRepresentation": int(signed)}
    data = dicom(values, syntax=uid.JPEG2000Lossless, stream=stream, **tags)
    difference = beside_others(data, tmp_path)
    assert difference is not None
    assert difference <= MAX_MEAN_LEVELS


def grey(allocated: int, stored: int, high: int, *, signed: bool) -> bytes:
    """Values of `stored` bits below `high`; what is above and below them is set, as overlays set
    it.
    """
    values = (photo().astype(np.int64) << stored >> 8) - (2 ** (stored - 1) if signed else 0)
    unused = ~(((1 << stored) - 1) << (high + 1 - stored)) & ((1 << allocated) - 1)
    bits = ((values & ((1 << stored) - 1)) << (high + 1 - stored)) | unused
    middle = 0 if signed else 2 ** (stored - 1)
    return dicom(
        bits.astype(f"u{allocated // 8}"),
        BitsStored=stored,
        HighBit=high,
        PixelRepresentation=int(signed),
        WindowCenter=middle,
        WindowWidth=2**stored,
    )


COLOURS = np.stack([photo(), 255 - photo(), photo(seed=1) // 2], 2)
ENCODERS = {
    "implicit": ["dcmconv", "+ti"],
    "big": ["dcmconv", "+tb"],
    "deflated": ["dcmconv", "+td"],
    "RLE": ["dcmcrle"],
    "JPEG Lossless": ["dcmcjpeg", "+e1"],
    "JPEG-LS": ["dcmcjpls"],
}


def packed(data: bytes, packing: str, folder: Path) -> bytes:
    if packing == "little":
        return data
    (folder / "plain.dcm").write_bytes(data)
    run(*ENCODERS[packing], str(folder / "plain.dcm"), str(folder / "packed.dcm"))
    return (folder / "packed.dcm").read_bytes()


def beside_others(data: bytes, folder: Path, name: str = "") -> float | None:
    """Mean difference in grey levels of the first frame, infinite if medloop alone refuses it.

    NaN if medloop alone shows it, None if nobody does.
    """
    quieten_pydicom()
    header = window = mine = None
    try:
        header = read_header(data, Limits())
        window = window_of(header)
        mine = decode(data, frame=0, window=window).pixels
    except DecodeError:
        pass
    theirs = None if name in DCMTK_IS_WRONG else by_dcmtk(data, window, folder)
    theirs = by_pydicom(data, window) if theirs is None else theirs
    if mine is None or theirs is None:
        return (None if theirs is None else math.inf) if mine is None else math.nan
    if theirs.shape != mine.shape:  # dcmtk leaves pixels as they are stored, square or not
        theirs = np.asarray(Image.fromarray(theirs).resize(mine.shape[::-1]))
    return float(np.abs(mine.astype(int) - theirs).mean())


def window_of(header: Header) -> tuple[float, float] | None:
    """The file's, else all that its bits can hold; none for colours."""
    if header.samples != 1 or header.photometric == "PALETTE COLOR":
        return None
    centre, width = (number(header.dataset, name) for name in ("WindowCenter", "WindowWidth"))
    if centre is not None and width is not None and width >= 1:
        return centre, width
    slope = number(header.dataset, "RescaleSlope") or 1.0
    middle = 0 if header.signed else 2 ** (header.bits_stored - 1)
    intercept = number(header.dataset, "RescaleIntercept") or 0.0
    return intercept + slope * middle, abs(slope) * 2**header.bits_stored


def by_dcmtk(data: bytes, window: tuple[float, float] | None, folder: Path) -> np.ndarray | None:
    (folder / "in.dcm").write_bytes(data)
    shown = ["+Ww", *map(str, window)] if window else []
    tool = "dcml2pnm" if JPEG_LS in data else "dcmj2pnm"
    picture = run(tool, "-q", "-a", "+F", "1", *shown, str(folder / "in.dcm"), check=False)
    return np.asarray(Image.open(io.BytesIO(picture)).convert("L")) if picture else None


def by_pydicom(data: bytes, window: tuple[float, float] | None) -> np.ndarray | None:
    try:
        dataset = pydicom.dcmread(io.BytesIO(data), force=True)
        values = pixel_array(dataset, index=0)
    except Exception:  # of many types
        return None
    if window is None:
        return np.asarray(Image.fromarray(values).convert("L"))
    centre, width = window[0] - 0.5, window[1] - 1
    ends = (centre - width / 2, centre + width / 2)
    return np.interp(apply_rescale(values, dataset), ends, (0, 255)).astype(np.uint8)


def run(*command: str, check: bool = True) -> bytes:
    return subprocess.run(command, capture_output=True, check=check, timeout=60).stdout
