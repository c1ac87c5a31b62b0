"""From JPEG bytes to an answer, one at a time and many at once; and what each shortcut is worth.

    python -m benchmarks.serving [--images ZIP] [--n 2000] [--model FILE.onnx]

Images are the bundled sample's first, as JPEGs of 64 × 64, unless a zip of class folders is given.
The model is the cached champion of the local stack, or else an untrained one of the same shape,
which takes the same time. Both sides of a comparison are measured in one run, in turns, as other
work on the machine comes and goes.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from medloop.core.imaging import raster
from medloop.core.imaging.decode import decode
from medloop.core.prediction.predictor import Predictor
from medloop.serving import classify
from medloop.serving.answers import available_cores
from medloop.stores.inputs import Input
from medloop.stores.model_cache import ModelCache

ROUNDS = 5


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--images", type=Path)
    options.add_argument("--n", type=int, default=2000)
    options.add_argument("--model", type=Path)
    arguments = options.parse_args()
    files, onnx = (
        jpegs(arguments.images, arguments.n),
        arguments.model.read_bytes() if arguments.model else a_model(),
    )
    print(
        f"{len(files)} JPEGs, median {statistics.median(map(len, files)):.0f} bytes; "
        f"model {len(onnx) / 2**20:.2f} MiB;"
    )
    print(
        f"{available_cores()} cores, onnxruntime {onnxruntime.__version__}, "
        f"{ROUNDS} rounds in turns\n"
    )
    latency(files, onnx)
    throughput(files, onnx)


def jpegs(archive: Path | None, n: int) -> list[bytes]:
    if archive is not None:
        with zipfile.ZipFile(archive) as opened:
            names = [name for name in opened.namelist() if name.lower().endswith((".jpg", ".jpeg"))]
            return [opened.read(name) for name in names[:: max(1, len(names) // n)][:n]]
    from medloop.stores.datasets import bundled_sample

    images = bundled_sample().images
    return [jpeg(image) for image in images[:: max(1, len(images) // n)][:n]]


def jpeg(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def a_model() -> bytes:
    cached = ModelCache(Path(".medloop/models")).read()
    if cached is not None:
        return cached.onnx
    from tests.models import model

    return model()


def without_shortcut(function: Callable[[], object]) -> None:
    """Run with every JPEG going through Pillow."""
    plain = raster._plain_jpeg
    raster._plain_jpeg = lambda data, limits: None
    try:
        function()
    finally:
        raster._plain_jpeg = plain


def latency(files: list[bytes], onnx: bytes) -> None:
    """Milliseconds from bytes to prediction in this process, one after another."""
    one, all_cores = Predictor(onnx, threads=1), Predictor(onnx)

    def run(predictor: Predictor, times: list[float]) -> None:
        for data in files[:500]:
            started = time.perf_counter()
            predictor.predict([decode(data, find_text=False).pixels])
            times.append((time.perf_counter() - started) * 1e3)

    sides: dict[str, list[float]] = {
        "through Pillow, all cores": [],
        "direct, all cores": [],
        "direct, one core": [],
    }
    for _ in range(ROUNDS):
        without_shortcut(partial(run, all_cores, sides["through Pillow, all cores"]))
        run(all_cores, sides["direct, all cores"])
        run(one, sides["direct, one core"])
    for name, times in sides.items():
        p50, p95 = statistics.median(times), statistics.quantiles(times, n=20)[-1]
        print(f"one image, {name:28} p50 {p50:6.3f} ms   p95 {p95:6.3f} ms   n {len(times)}")


def throughput(files: list[bytes], onnx: bytes) -> None:
    """Images a second, decode included."""
    one, all_cores = Predictor(onnx, threads=1), Predictor(onnx)

    def run(predictor: Predictor, threads: int, rates: list[float], cpu: list[float]) -> None:
        inputs = (Input("", partial(bytes, data)) for data in files)
        started, started_cpu = time.perf_counter(), time.process_time()
        assert all(answer.prediction for answer in classify(predictor, inputs, threads=threads))
        rates.append(len(files) / (time.perf_counter() - started))
        cpu.append((time.process_time() - started_cpu) / len(files) * 1e6)

    sides = {
        "through Pillow, all cores a call": (all_cores, 1, True),
        "direct, all cores a call": (all_cores, 1, False),
        "direct, one thread": (one, 1, False),
        "direct, a thread a core": (one, available_cores(), False),
    }
    found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in sides}
    for _ in range(ROUNDS):
        for name, (predictor, threads, pillow) in sides.items():
            job = partial(run, predictor, threads, *found[name])
            without_shortcut(job) if pillow else job()
    for name, (rates, cpu) in found.items():
        spread = f"{min(rates):,.0f} to {max(rates):,.0f}"
        print(
            f"many, {name:33} median {statistics.median(rates):8,.0f}/s   {spread}   "
            f"{statistics.median(cpu):5.0f} µs of processor an image   n {len(files)} × {ROUNDS}"
        )


if __name__ == "__main__":
    main()
