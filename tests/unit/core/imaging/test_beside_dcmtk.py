"""pydicom's own test files and generated ones, beside the pictures that dcmtk makes of them.

Both are given the same window, so that only the reading is compared. dcmtk rounds grey levels down.
"""

import io
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom.data
import pytest
from PIL import Image
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
MIN_SHARE = 0.99
JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
EXPLAINED = {
    # dcmtk takes big-endian doses of 32 bits for constant; medloop shows them as their little-endian twins.
    "rtdose_expb.dcm",
    "rtdose_expb_1frame.dcm",
}


def test_shipped_files_look_as_dcmtk_shows_them(tmp_path: Path) -> None:
    differences = {
        path.relative_to(SHIPPED).as_posix(): difference
        for path in sorted(SHIPPED.rglob("*"))
        if path.is_file() and (difference := beside_dcmtk(path.read_bytes(), tmp_path)) is not None
    }
    assert len(differences) >= 80
    apart = {name for name, levels in differences.items() if levels > MAX_MEAN_LEVELS}
    assert apart == EXPLAINED
    assert 1 - len(apart - EXPLAINED) / len(differences) >= MIN_SHARE


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
    expected = beside_dcmtk(data, tmp_path)
    assert expected is not None
    assert expected <= MAX_MEAN_LEVELS
    np.testing.assert_array_equal(decode(data).pixels, decode(plain).pixels)


def grey(allocated: int, stored: int, high: int, *, signed: bool) -> bytes:
    """Values of `stored` bits below `high`; what is above and below them is set, as overlays set it."""
    values = (photo().astype(np.int64) << stored >> 8) - (2 ** (stored - 1) if signed else 0)
    unused = ~(((1 << stored) - 1) << (high + 1 - stored)) & ((1 << allocated) - 1)
    bits = ((values & ((1 << stored) - 1)) << (high + 1 - stored)) | unused
    middle = 0 if signed else 2 ** (stored - 1)
    return dicom(
        bits.astype(f"u{allocated // 8}"), BitsStored=stored, HighBit=high, PixelRepresentation=int(signed),
        WindowCenter=middle, WindowWidth=2**stored,
    )  # fmt: skip


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


def beside_dcmtk(data: bytes, folder: Path) -> float | None:
    """Mean difference in grey levels of the first frame; None if there is no picture, or none for dcmtk."""
    quieten_pydicom()
    try:
        header = read_header(data, Limits())
        window = window_of(header)
        mine = decode(data, frame=0, window=window).pixels
    except (DecodeError, AttributeError):
        return None
    theirs = by_dcmtk(data, header, window, folder)
    if (
        theirs is None or theirs.shape != mine.shape
    ):  # dcmtk leaves pixels as they are stored, square or not
        return None
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


def by_dcmtk(
    data: bytes, header: Header, window: tuple[float, float] | None, folder: Path
) -> np.ndarray | None:
    (folder / "in.dcm").write_bytes(data)
    tool = "dcml2pnm" if header.syntax in JPEG_LS else "dcmj2pnm"
    shown = ["+Ww", *map(str, window)] if window else []
    picture = run(tool, "-q", "-a", "+F", "1", *shown, str(folder / "in.dcm"), check=False)
    return np.asarray(Image.open(io.BytesIO(picture)).convert("L")) if picture else None


def run(*command: str, check: bool = True) -> bytes:
    return subprocess.run(command, capture_output=True, check=check, timeout=60).stdout
