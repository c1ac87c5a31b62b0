"""The page in real browsers: first paint, upload to result, memory of many sessions; as JSON.

    python -m benchmarks.pages [--sessions 20] [--images 50]

Starts the app over stores in memory, with an untrained model of the real shape, which takes the
same time, and drives it with Debian's Chromium on the same machine. Pictures are the bundled
sample's as JPEGs: enlarged to 512 × 512 with noise, as a scanner gives them, and 64 × 64 as Medical
MNIST has them. All sessions drop their files before any has its answers. Memory is the app
process's own share (PSS): before, while all are open, and after they have ended. It is measured
first, since Streamlit keeps what a closed session held for two minutes. Ends within 8 minutes on
two cores.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from tests.app.browser import app_over_memory, chromium, settle
from tests.models import model

from medloop.stores.datasets import bundled_sample

ENTRY = Path(__file__).with_name("pages_app.py")
SCAN, TINY = 512, 64  # pixels a side
PAINTS, SINGLES, HUNDREDS = 15, 10, 3
BARS_S = {1: 0.5, 100: 5.0, 300: 8.0}  # pictures: seconds from upload to the last answer
FIRST_BAR_S = 2.0  # to the first answer
PATIENCE_MS = 240_000
STEADY_WITHIN_S = 60  # the app prepares in the background what every session shares
ENDED_WITHIN_S = 150  # Streamlit keeps a session for two minutes in case its browser comes back
MIB = 2**20


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--sessions", type=int, default=20)
    options.add_argument("--images", type=int, default=50)
    arguments = options.parse_args()
    files = jpegs(arguments.sessions * arguments.images, side=SCAN)
    found: dict[str, Any] = {
        "cores": os.cpu_count(),
        "load_average_before": round(os.getloadavg()[0], 1),
    }
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="medloop-pages-")))
        (folder / "model.onnx").write_bytes(
            model()
        )  # here, so that torch does not count as the app's
        url = stack.enter_context(app_over_memory(folder, entry=ENTRY))
        browser = stack.enter_context(chromium())
        with tab(browser, url) as page:  # warm
            classify(page, jpegs(1, side=SCAN))
        found["sessions"] = memory(
            browser, url, files, images=arguments.images, pid=server_of(str(folder))
        )
        found["first_paint"] = first_paint(browser, url)
        for count, n in ((1, SINGLES), (100, HUNDREDS), (300, HUNDREDS)):
            for side in (SCAN, TINY):
                found[f"upload_of_{count}_at_{side}px"] = uploads(
                    browser, url, jpegs(count, side=side), n=n
                )
    print(json.dumps(found, indent=1))


def jpegs(n: int, *, side: int) -> list[bytes]:
    """`n` pictures spread over the sample, each another one."""
    images, noise = bundled_sample().images, np.random.default_rng(0)
    return [
        jpeg(images[place], side, noise) for place in np.linspace(0, len(images) - 1, n).astype(int)
    ]


def jpeg(pixels: np.ndarray, side: int, noise: np.random.Generator) -> bytes:
    image = Image.fromarray(pixels)
    if side != pixels.shape[0]:
        large = np.asarray(image.resize((side, side), Image.Resampling.BICUBIC), np.float32)
        image = Image.fromarray(
            np.clip(large + noise.normal(0, 4, large.shape), 0, 255).astype(np.uint8)
        )
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@contextmanager
def tab(browser: Browser, url: str) -> Iterator[Page]:
    """A page of a person who shares nothing with another's, drawn."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.goto(f"{url}/classify", timeout=PATIENCE_MS)
    expect(page.locator("h1")).to_be_visible(timeout=PATIENCE_MS)
    settle(page)
    yield page
    context.close()


def first_paint(browser: Browser, url: str) -> dict[str, Any]:
    """From the address to the headline, with a warm server."""

    def paint() -> None:
        page = browser.new_page()
        page.goto(url, timeout=PATIENCE_MS)
        expect(page.locator("h1")).to_be_visible(timeout=PATIENCE_MS)
        page.close()

    return spread([timed(paint) for _ in range(PAINTS)], bar_s=2.0)


def uploads(browser: Browser, url: str, files: list[bytes], *, n: int) -> dict[str, Any]:
    """From dropping the files to the first and the last answer, each time in a fresh session."""
    firsts, seconds = [], []
    for _ in range(n):
        with tab(browser, url) as page:
            started = time.perf_counter()
            drop(page, files)
            expect(page.locator(".st-key-answer").first).to_be_visible(timeout=PATIENCE_MS)
            firsts.append(time.perf_counter() - started)
            answered(page, len(files))
            seconds.append(time.perf_counter() - started)
    return {
        "first": spread(firsts, bar_s=FIRST_BAR_S),
        "all": spread(seconds, bar_s=BARS_S[len(files)]),
    }


def classify(page: Page, files: list[bytes]) -> None:
    drop(page, files)
    answered(page, len(files))


def drop(page: Page, files: list[bytes]) -> None:
    given = [
        {"name": f"{i}.jpg", "mimeType": "image/jpeg", "buffer": data}
        for i, data in enumerate(files)
    ]
    page.locator(".st-key-uploads input[type=file]").set_input_files(given, timeout=PATIENCE_MS)


def answered(page: Page, count: int) -> None:
    """Until the page says that it has looked at so many."""
    says = f"{count} picture{'s' if count > 1 else ''}"
    expect(page.locator(".st-key-summary", has_text=says).first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator(".st-key-answer").first).to_be_visible(timeout=PATIENCE_MS)


def memory(
    browser: Browser, url: str, files: list[bytes], *, images: int, pid: int
) -> dict[str, Any]:
    """Measure the app's memory for simultaneous sessions of `images` pictures, and after them."""
    before = steady_bytes(pid)
    with ExitStack() as stack:
        pages = [stack.enter_context(tab(browser, url)) for _ in range(len(files) // images)]
        idle = pss_bytes(pid)
        started = time.perf_counter()
        for number, page in enumerate(pages):
            drop(page, files[number * images : (number + 1) * images])
        dropped_s = time.perf_counter() - started
        for page in pages:
            answered(page, images)
        all_answered_s = time.perf_counter() - started
        during = pss_bytes(pid)
    until, after = time.monotonic() + ENDED_WITHIN_S, pss_bytes(pid)
    while time.monotonic() < until and after > before + 0.1 * (during - before):
        time.sleep(5)
        after = min(after, pss_bytes(pid))
    return {
        "sessions": len(pages),
        "images_each": images,
        "side": SCAN,
        "all_dropped_after_s": round(dropped_s, 1),
        "all_answered_after_s": round(all_answered_s, 1),
        "mib_a_session": round((during - before) / len(pages) / MIB, 1),
        "mib_a_session_bar": 15,
        "mib_before": round(before / MIB),
        "mib_all_open": round(idle / MIB),
        "mib_all_answered": round(during / MIB),
        "mib_after_they_ended": round(after / MIB),
    }


def timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def spread(seconds: list[float], *, bar_s: float) -> dict[str, Any]:
    low, middle, high = (
        round(value, 2) for value in statistics.quantiles(seconds, n=4, method="inclusive")
    )
    return {"p50_s": middle, "bar_s": bar_s, "quartiles_s": [low, high], "n": len(seconds)}


def server_of(folder: str) -> int:
    """The app's process, without the guard over it."""
    found = {
        int(path.name): (path / "cmdline").read_bytes()
        for path in Path("/proc").iterdir()
        if path.name.isdigit()
    }
    mark = os.fsencode(folder)
    return next(
        pid
        for pid, command in found.items()
        if mark in command and b"medloop.stack.process_guard" not in command
    )


def steady_bytes(pid: int) -> int:
    """The memory, once it has stayed the same to a MiB for five seconds."""
    until, before = time.monotonic() + STEADY_WITHIN_S, -MIB
    while abs((now := pss_bytes(pid)) - before) > MIB and time.monotonic() < until:
        before = now
        time.sleep(5)
    return now


def pss_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    main()
