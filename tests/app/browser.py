"""Chromium and a Streamlit server for the tests in a browser."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.chromium import FLAGS, chromium_path
from tests.servers import answers, clean_environment, wait_until

from medloop.services.ports import free_ports

HERE = Path(__file__).parent


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium without a window."""
    path = chromium_path()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
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
    """The app over `tests.app.site`, as a server of its own; its address."""
    port = port or free_ports(1)[0]
    command = [
        sys.executable, "-m", "medloop.guard", "--",
        sys.executable, "-m", "streamlit", "run", str(entry), "--server.port", str(port),
        "--server.address", "127.0.0.1", "--server.headless", "true", "--browser.gatherUsageStats", "false",
        "--client.toolbarMode", "viewer", "--server.fileWatcherType", "none", *options, "--", str(folder),
    ]  # fmt: skip
    log = (folder / "app.log").open("wb")
    environment = {**clean_environment(), **(settings or {})}
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=folder)
    try:
        wait_until(
            lambda: answers(f"http://127.0.0.1:{port}/_stcore/health"), what=f"the app should answer; {log.name}"
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
        "data-test-script-state", re.compile("notRunning"), timeout=30_000
    )
