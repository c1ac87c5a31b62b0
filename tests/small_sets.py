"""Small data sets as files, for tests."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image


def encoded(
    seed: int, *, kind: str = "JPEG", size: tuple[int, int] = (64, 64), mode: str = "L"
) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0]), np.uint8)
    Image.fromarray(pixels).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def zipped(
    path: Path, files: Mapping[str, bytes], *, compression: int = zipfile.ZIP_STORED
) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def unpacked(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


FILES = {
    "archive/Hand/1.JPEG": encoded(1),
    "archive/Hand/2.png": encoded(2, kind="PNG", size=(200, 100)),
    "archive/CXR/1.tif": encoded(3, kind="TIFF", size=(32, 32)),
    "archive/CXR/2.BMP": encoded(4, kind="BMP", mode="RGB"),
    "archive/__MACOSX/Hand/._1.JPEG": b"rubbish",
    "archive/README.md": b"read me",
}
