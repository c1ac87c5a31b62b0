"""How fast the served path is, decoding included."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from medloop.core.imaging.decode import decode

CHUNK = 64
Answer = Callable[
    [list[np.ndarray]], object
]  # grey uint8 pictures, 64×64, to anything that holds the answers


def read_jpegs(path: Path, n: int) -> list[bytes]:
    """Read every k-th file of the zip, `n` of them."""
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpeg"))
        return [archive.read(name) for name in names[:: max(1, len(names) // n)][:n]]


def one_image(answer: Answer, jpegs: list[bytes]) -> dict[str, float]:
    """Time JPEG bytes to prediction in one process, ms: median and quartiles."""
    taken = []
    for data in jpegs:
        started = time.perf_counter()
        answer([decode(data, find_text=False).pixels])
        taken.append((time.perf_counter() - started) * 1e3)
    p25, p50, p75, p99 = np.percentile(taken[20:], [25, 50, 75, 99])
    return {
        "p25_ms": float(p25),
        "p50_ms": float(p50),
        "p75_ms": float(p75),
        "p99_ms": float(p99),
        "n": len(taken) - 20,
    }


def many_images(
    answer: Answer, jpegs: list[bytes], *, threads: int, repeats: int = 5
) -> dict[str, float]:
    """Measure images per second, decoding included, `threads` threads over one shared model."""
    chunks = [jpegs[i : i + CHUNK] for i in range(0, len(jpegs), CHUNK)]

    def work(chunk: list[bytes]) -> int:
        answer([decode(data, find_text=False).pixels for data in chunk])
        return len(chunk)

    rates, loads = [], []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(repeats):
            started, cpu = time.perf_counter(), time.process_time()
            n = sum(pool.map(work, chunks))
            rates.append(n / (time.perf_counter() - started))
            loads.append(n / (time.process_time() - cpu))
    return {
        "images_per_s": float(np.median(rates)),
        "slowest": min(rates),
        "fastest": max(rates),
        "images_per_cpu_s": float(np.median(loads)),
        "n": len(jpegs),
        "repeats": repeats,
    }
