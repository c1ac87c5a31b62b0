"""Take the pictures of README and docs from the running app: `python scripts/screenshots.py [URL]`.

Needs Debian's chromium. Each page in light and dark, as docs/screenshots/NAME-SCHEME.png; what the pages show is what
the installation behind the URL holds.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

FLAGS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
OUT: Final = Path(__file__).parents[1] / "docs" / "screenshots"
WIDTH, HEIGHT = 1280, 900
TALLEST = 1600
LARGEST_BYTES: Final = 300_000


def main() -> None:
    """Open the app in both schemes and go through its pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:8501")
    url = parser.parse_args().url.rstrip("/")
    chromium = shutil.which("chromium") or sys.exit("chromium is not installed: apt-get install chromium")
    OUT.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for scheme in ("light", "dark"):
            context = browser.new_context(color_scheme=scheme, viewport={"width": WIDTH, "height": HEIGHT})
            for name, prepare in PAGES.items():
                page = context.new_page()
                page.goto(f"{url}/{'' if name == 'classify' else name}")
                expect(page.locator("h1")).to_be_visible(timeout=60_000)
                settle(page)
                prepare(page)
                save(page, OUT / f"{name}-{scheme}.png")
                page.close()
            context.close()
        browser.close()


def classify(page: Page) -> None:
    """The example pictures, with the reasons for the answer to one that lies upside down."""
    page.locator(".st-key-examples button").click()
    expect(page.locator(".st-key-answer")).to_be_visible(timeout=60_000)
    settle(page)
    page.locator(".st-key-gallery button", has_text="Head CT").first.click()
    expect(page.locator(".st-key-picture")).to_contain_text("upside down")
    settle(page)
    page.locator(".st-key-why summary").click()
    expect(page.locator(".st-key-why img").nth(1)).to_be_visible(timeout=60_000)


def models(page: Page) -> None:
    """The gate's report of the newest version, where there is one."""
    page.get_by_role("tab", name="Test report").click()


def as_it_opens(page: Page) -> None:
    """Nothing to do first."""


PAGES: Final[dict[str, Callable[[Page], None]]] = {
    "classify": classify,
    "corrections": as_it_opens,
    "review": as_it_opens,
    "models": models,
    "monitor": as_it_opens,
    "help": as_it_opens,
}


def settle(page: Page) -> None:
    """Wait until the script has run through."""
    state = page.locator("[data-testid=stApp]")
    expect(state).to_have_attribute("data-test-script-state", re.compile("notRunning"), timeout=60_000)


def save(page: Page, path: Path) -> None:
    """The whole page up to a height, in a palette that keeps the file small."""
    settle(page)
    page.wait_for_timeout(2_500)  # charts and fonts
    height = page.evaluate("document.querySelector('.stMain').scrollHeight")
    page.set_viewport_size({"width": WIDTH, "height": min(max(height, HEIGHT), TALLEST)})
    page.wait_for_timeout(1_000)
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    image.save(path, optimize=True)
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    size = path.stat().st_size
    if size > LARGEST_BYTES:
        sys.exit(f"{path} has {size} bytes, more than {LARGEST_BYTES}")


if __name__ == "__main__":
    main()
