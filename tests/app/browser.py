"""Chromium, a Streamlit server, and what a person does at the page, for the tests in a browser."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, FilePayload, Page, expect, sync_playwright
from tests.app.models import picture
from tests.chromium import FLAGS, chromium_path
from tests.servers import answers, clean_environment, wait_until

from medloop.core.imaging.decode import encode_png
from medloop.stack.ports import free_ports
from medloop.stack.programs import PACKAGE

HERE = Path(__file__).parent
PATIENCE_MS = 30_000  # other work may have the processors
SHIPPED_CONFIG = PACKAGE / "app" / ".streamlit"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium without a window."""
    path = chromium_path()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        expect.set_options(timeout=PATIENCE_MS)
        yield browser
        browser.close()


@contextmanager
def app_over_memory(
    folder: Path,
    *,
    entry: Path = HERE / "site_app.py",
    port: int = 0,
    options: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """The app over `tests.app.site`, as a server of its own; its address.

    Streamlit takes the shipped configuration (colours, no stack traces) from beside the shipped
    server.py, which is not what runs here; a link to it where the server starts does the same.
    """
    port = port or free_ports(1)[0]
    (folder / ".streamlit").symlink_to(SHIPPED_CONFIG)
    command = [
        sys.executable, "-m", "medloop.stack.process_guard", "--",
        sys.executable, "-m", "streamlit", "run", str(HERE / "site_server.py"),
        "--server.port", str(port), *options, "--", str(folder), str(entry),
    ]  # fmt: skip
    log = (folder / "app.log").open("wb")
    environment = {**clean_environment(), **(settings or {})}
    process = subprocess.Popen(
        command, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=folder
    )
    try:
        wait_until(
            lambda: answers(f"http://127.0.0.1:{port}/_stcore/health"),
            what=f"the app should answer; {log.name}",
        )
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)
        log.close()


def open_page(page: Page, url: str) -> None:
    """Go there and wait until it is drawn."""
    page.goto(url)
    expect(page.locator("h1")).to_be_visible(timeout=60_000)
    settle(page)


def settle(page: Page) -> None:
    """Wait until the script has run through."""
    expect(page.locator("[data-testid=stApp]")).to_have_attribute(
        "data-test-script-state", re.compile("notRunning")
    )


def files(*levels: int) -> list[FilePayload]:
    """Pictures of these grey levels, named after them."""
    return [
        {"name": f"{level}.png", "mimeType": "image/png", "buffer": encode_png(picture(level))}
        for level in levels
    ]


def give(page: Page, *given: FilePayload) -> None:
    """Hand files to the Classify page, and don't wait."""
    settle(page)
    uploader = page.locator(".st-key-uploads input[type=file]")  # loads after the page is drawn
    if not page.url.partition("?")[0].endswith("/classify"):
        page.get_by_role("link", name="Classify").first.click()
    uploader.set_input_files(given, timeout=2 * PATIENCE_MS)


def upload(page: Page, *levels: int) -> None:
    """Pictures of these grey levels; returns when they are answered."""
    give(page, *files(*levels))
    expect(page.locator(".st-key-answer")).to_be_visible()
    settle(page)


def press(page: Page, key: str) -> None:
    """A key, once the page is drawn: before that its buttons may not be there to hear it."""
    settle(page)
    page.keyboard.press(key)


def says(page: Page, key: str, words: str, *, timeout: float = PATIENCE_MS) -> None:
    """The part with this key says the words, sooner or later. While Streamlit redraws, there may be
    two of it.
    """
    expect(page.locator(f".st-key-{key}", has_text=words).first).to_be_visible(timeout=timeout)
