"""CT files in memory, classified: how many a second, beside one thread of pydicom alone.

    python -m benchmarks.dicom_speed [--n 200] [--model FILE.onnx]

Each file has 512 × 512 pixels of 12 bits. All sides are measured in one run, in turns, as other work on the machine
comes and goes; the rate of a side is its median. pydicom reads JPEG Lossless and JPEG-LS by a plug-in; where none is
installed, it is given imagecodecs, the decoder that medloop has.
"""

from __future__ import annotations

import argparse
import io
import statistics
import struct
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import imagecodecs
import numpy as np
from pydicom import dcmread, uid
from pydicom.pixels.decoders.base import DecodeRunner, get_decoder
from tests.hostile.corpus import dicom

from benchmarks.serving import a_model
from medloop.core.prediction.predictor import Predictor
from medloop.serving import classify
from medloop.serving.answers import available_cores
from medloop.stores.inputs import Input

ROUNDS = 5
BAR = 0.4  # of pydicom's rate
SIDE = 512
SYNTAXES = {
    "uncompressed": uid.ExplicitVRLittleEndian, "RLE": uid.RLELossless, "JPEG Lossless": uid.JPEGLosslessSV1,
    "JPEG-LS": uid.JPEGLSLossless, "JPEG 2000": uid.JPEG2000Lossless,
}  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--n", type=int, default=200)
    options.add_argument("--model", type=Path)
    arguments = options.parse_args()
    onnx = arguments.model.read_bytes() if arguments.model else a_model()
    predictor = Predictor(onnx, threads=1)
    print(f"{available_cores()} cores, n {arguments.n} files × {ROUNDS} rounds in turns\n")
    for name, syntax in SYNTAXES.items():
        add_plugin(syntax)
        files = [ct(syntax, seed) for seed in range(8)]
        files = [files[n % len(files)] for n in range(arguments.n)]
        compare(name, files, predictor)


def compare(name: str, files: list[bytes], predictor: Predictor) -> None:
    pydicom_rates, rates = [], []
    for _ in range(ROUNDS):
        pydicom_rates.append(rate(partial(read_with_pydicom, files), len(files)))
        rates.append(rate(partial(classify_all, files, predictor), len(files)))
    theirs, ours = statistics.median(pydicom_rates), statistics.median(rates)
    print(
        f"{name:14} medloop {ours:7,.0f}/s ({min(rates):,.0f} to {max(rates):,.0f})   "
        f"pydicom {theirs:7,.0f}/s ({min(pydicom_rates):,.0f} to {max(pydicom_rates):,.0f})   "
        f"{ours / theirs:.2f} times as many, bar {BAR}"
    )


def rate(function: Callable[[], None], n: int) -> float:
    started = time.perf_counter()
    function()
    return n / (time.perf_counter() - started)


def read_with_pydicom(files: list[bytes]) -> None:
    for data in files:
        assert dcmread(io.BytesIO(data)).pixel_array.shape == (SIDE, SIDE)


def classify_all(files: list[bytes], predictor: Predictor) -> None:
    inputs = (Input("", partial(bytes, data)) for data in files)
    assert all(answer.prediction for answer in classify(predictor, inputs))


def ct(syntax: uid.UID, seed: int) -> bytes:
    """A body of soft tissue with noise in air."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    tissue = 40 + 30 * np.sin(x / 30) * np.cos(y / 20)
    noise = np.random.default_rng(seed).normal(0, 12, x.shape)
    values = np.where(np.hypot(x / 1.2, y) < 180, tissue + noise, -1000 + np.abs(noise) / 2)
    stored = (values + 1024).clip(0, 4095).astype(np.uint16)
    stream = None if syntax == uid.ExplicitVRLittleEndian else encoded(stored, syntax)
    return dicom(
        stored, syntax=syntax, stream=stream, Modality="CT", BitsStored=12, HighBit=11, RescaleSlope=1,
        RescaleIntercept=-1024, WindowCenter=40, WindowWidth=400, PixelSpacing=[0.7, 0.7],
    )  # fmt: skip


def encoded(stored: np.ndarray, syntax: uid.UID) -> bytes:
    if syntax == uid.RLELossless:
        planes = [(stored >> 8).astype(np.uint8), stored.astype(np.uint8)]
        # A run never crosses a row.
        high, low = (b"".join(map(imagecodecs.packbits_encode, plane)) for plane in planes)
        high += b"\0" * (len(high) % 2)
        return struct.pack("<16I", 2, 64, 64 + len(high), *[0] * 13) + high + low
    if syntax == uid.JPEGLosslessSV1:
        return imagecodecs.jpeg8_encode(stored, lossless=True, bitspersample=12, predictor=1)
    if syntax == uid.JPEGLSLossless:
        return imagecodecs.jpegls_encode(stored)
    return imagecodecs.jpeg2k_encode(stored, codecformat="j2k", level=0, bitspersample=12)


def add_plugin(syntax: uid.UID) -> None:
    """Give pydicom imagecodecs where it has no decoder of its own."""
    if syntax in (uid.ExplicitVRLittleEndian, uid.RLELossless):
        return
    decoder = get_decoder(syntax)
    if not decoder.is_available:
        decoder.add_plugin("imagecodecs", (__name__, "decode_frame"))


def is_available(syntax: str) -> bool:
    """Answer pydicom, which asks a plug-in."""
    return True


DECODER_DEPENDENCIES = dict.fromkeys(SYNTAXES.values(), ("imagecodecs",))


def decode_frame(stream: bytes, runner: DecodeRunner) -> bytes:
    """Decode as a plug-in of pydicom."""
    ls = runner.transfer_syntax == uid.JPEGLSLossless
    frame = imagecodecs.jpegls_decode(stream) if ls else imagecodecs.jpeg8_decode(stream)
    runner.set_option("bits_allocated", 8 * frame.dtype.itemsize)
    return bytes(np.ascontiguousarray(frame).tobytes())


if __name__ == "__main__":
    main()
