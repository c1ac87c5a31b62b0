"""The page in real browsers: first paint, upload to result, and what many sessions cost in memory.

    python -m benchmarks.pages [--sessions 20] [--images 50]

Starts the app over stores in memory, with an untrained model of the real shape, which takes the same time, and drives
it with Debian's Chromium on the same machine. Pictures are the bundled sample's, as JPEGs of 64 × 64. Memory is the
app process's own share (PSS), before the sessions, while all are open, and after they have ended.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect
from tests.app.browser import app_over_memory, chromium, settle
from tests.models import model

from benchmarks.serving import jpegs

ENTRY = Path(__file__).with_name("pages_app.py")
PAINTS, SINGLES, HUNDREDS = 15, 15, 5
PATIENCE_MS = 120_000
ENDED_WITHIN_S = 300  # Streamlit keeps a session for two minutes in case its browser comes back
MIB = 2**20


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sessions", type=int, default=20)
    options.add_argument("--images", type=int, default=50)
    arguments = options.parse_args()
    files = jpegs(None, max(100, arguments.sessions * arguments.images))
    print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}\n")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="medloop-pages-")))
        (folder / "model.onnx").write_bytes(model())  # here, so that torch does not count as the app's
        url = stack.enter_context(app_over_memory(folder, entry=ENTRY))
        browser = stack.enter_context(chromium())
        first_paint(browser, url)
        uploads(browser, url, files[:1], n=SINGLES)
        uploads(browser, url, files[:100], n=HUNDREDS)
        memory(browser, url, files, sessions=arguments.sessions, images=arguments.images, pid=server_of(str(folder)))


@contextmanager
def tab(browser: Browser, url: str) -> Iterator[Page]:
    """A page of a person who shares nothing with another's, drawn."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.goto(url, timeout=PATIENCE_MS)
    expect(page.locator("h1")).to_be_visible(timeout=PATIENCE_MS)
    settle(page)
    yield page
    context.close()


def first_paint(browser: Browser, url: str) -> None:
    with tab(browser, url):  # warm
        pass

    def paint() -> None:
        page = browser.new_page()
        page.goto(url, timeout=PATIENCE_MS)
        expect(page.locator("h1")).to_be_visible(timeout=PATIENCE_MS)
        page.close()

    report("first paint: address to headline", [timed(paint) for _ in range(PAINTS)], bar_s=2.0)


def uploads(browser: Browser, url: str, files: list[bytes], *, n: int) -> None:
    """From dropping the files to the last answer, each time in a fresh session."""
    seconds = []
    for _ in range(n):
        with tab(browser, url) as page:
            seconds.append(timed(lambda page=page: classify(page, files)))
    what, bar_s = ("one picture", 0.5) if len(files) == 1 else (f"{len(files)} pictures", 5.0)
    report(f"upload to result: {what}", seconds, bar_s=bar_s)


def classify(page: Page, files: list[bytes]) -> None:
    given = [{"name": f"{i}.jpg", "mimeType": "image/jpeg", "buffer": data} for i, data in enumerate(files)]
    page.locator(".st-key-uploads input[type=file]").set_input_files(given)
    says = f"{len(files)} picture{'s' if len(files) > 1 else ''}:"
    expect(page.locator(".st-key-summary", has_text=says).first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator(".st-key-answer").first).to_be_visible(timeout=PATIENCE_MS)


def memory(browser: Browser, url: str, files: list[bytes], *, sessions: int, images: int, pid: int) -> None:
    before = pss_bytes(pid)
    contexts = []
    for number in range(sessions):
        context = browser.new_context()
        page = context.new_page()
        page.goto(url, timeout=PATIENCE_MS)
        expect(page.locator("h1")).to_be_visible(timeout=PATIENCE_MS)
        classify(page, files[number * images : (number + 1) * images])
        contexts.append(context)
    during = pss_bytes(pid)
    for context in contexts:
        context.close()
    until = time.monotonic() + ENDED_WITHIN_S
    after = pss_bytes(pid)
    while time.monotonic() < until and after > before + 0.1 * (during - before):
        time.sleep(5)
        after = min(after, pss_bytes(pid))
    grown = (during - before) / sessions / MIB
    print(f"memory a session: {grown:.1f} MiB (bar 15), n = {sessions} sessions of {images} pictures")
    print(f"  app: {before / MIB:.0f} MiB before, {during / MIB:.0f} with all open, {after / MIB:.0f} after they ended")


def timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def report(what: str, seconds: list[float], *, bar_s: float) -> None:
    low, _, high = statistics.quantiles(seconds, n=4)
    middle = statistics.median(seconds)
    print(f"{what}: p50 {middle:.2f} s (bar {bar_s:g}), quartiles {low:.2f} and {high:.2f}, n = {len(seconds)}")


def server_of(folder: str) -> int:
    """The app's process, without the guard over it."""
    found = {int(path.name): (path / "cmdline").read_bytes() for path in Path("/proc").iterdir() if path.name.isdigit()}
    mark = os.fsencode(folder)
    return next(pid for pid, command in found.items() if mark in command and b"medloop.guard" not in command)


def pss_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    main()
