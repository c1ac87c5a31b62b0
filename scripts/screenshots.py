"""Take the pictures of README and docs from the running app: `python scripts/screenshots.py [URL]`.

Needs Debian's chromium. Saves each page in light and dark as docs/screenshots/NAME-SCHEME.png,
Classify also as a telephone shows it, and with `--sign-in URL` the page in front of an installation
with a login. The pages show the contents of the installation behind the URL;
`python scripts/demo_content.py --train` fills a fresh one.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

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
WIDE, NARROW, HEIGHT = 1280, 400, 900
LARGEST_BYTES: Final = 500_000


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture: its page, its width, and the steps before it."""

    name: str
    path: str
    prepare: Callable[[Page], None]
    width: int = WIDE


def main() -> None:
    """Open the app in both schemes and go through its pages."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:8501")
    parser.add_argument(
        "--sign-in", metavar="URL", help="an installation with a login, for the page in front of it"
    )
    parser.add_argument("--out", type=Path, default=OUT, help="the folder of the pictures")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="these pictures alone")
    given = parser.parse_args()
    chromium = shutil.which("chromium") or sys.exit(
        "chromium is not installed: apt-get install chromium"
    )
    given.out.mkdir(parents=True, exist_ok=True)
    shots = [(given.url.rstrip("/"), shot) for shot in SHOTS]
    if given.sign_in:
        shots.append((given.sign_in.rstrip("/"), SIGN_IN))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for scheme in ("light", "dark"):
            for url, shot in shots:
                if not given.only or shot.name in given.only:
                    take(
                        browser,
                        url,
                        shot,
                        scheme=scheme,
                        path=given.out / f"{shot.name}-{scheme}.png",
                    )
        browser.close()


def take(browser: Browser, url: str, shot: Shot, *, scheme: str, path: Path) -> None:
    """Open the page in a session of its own and save it."""
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": shot.width, "height": HEIGHT}
    )  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(f"{url}/{shot.path}")
    expect(page.locator("h1")).to_be_visible(timeout=60_000)
    settle(page)
    shot.prepare(page)
    save(page, path, width=shot.width)
    context.close()


def classify(page: Page) -> None:
    """The example pictures, with the reasons for the answer to a radiograph."""
    examples(page)
    page.locator(".st-key-gallery button", has_text="Chest X-ray").click()
    expect(page.locator(".st-key-picture").first).to_contain_text("Chest X-ray.png")
    settle(page)
    page.locator(".st-key-why summary").click()
    expect(page.locator(".st-key-why img").nth(1)).to_be_visible(timeout=60_000)


def examples(page: Page) -> None:
    """The example pictures."""
    page.locator(".st-key-examples button").click()
    expect(page.locator(".st-key-answer")).to_be_visible(timeout=60_000)
    settle(page)
    expect(page.locator(".st-key-picture")).to_contain_text("Written page")


def wall(page: Page) -> None:
    """Some of the example pictures chosen on the wall."""
    examples(page)
    page.locator(".st-key-layout button").last.click()
    settle(page)
    pictures = page.locator(".st-key-gallery button")
    pictures.nth(2).click()
    pictures.nth(5).click(modifiers=["Shift"])
    expect(page.locator(".st-key-answer")).to_contain_text("4 chosen")


def report(page: Page) -> None:
    """The gate's report of the newest version, where there is one."""
    page.get_by_role("tab", name="Test report").click()
    expect(page.locator(".st-key-disagreements")).to_be_visible(timeout=120_000)


def as_it_opens(page: Page) -> None:
    """Nothing to do first."""


SHOTS: Final = [
    Shot("home", "", as_it_opens),
    Shot("classify", "classify", classify),
    Shot("wall", "classify", wall),
    Shot("classify-narrow", "classify", examples, width=NARROW),
    Shot("corrections", "corrections", as_it_opens),
    Shot("review", "review", as_it_opens),
    Shot("models", "models", as_it_opens),
    Shot("report", "models", report),
    Shot("monitor", "monitor", as_it_opens),
    Shot("help", "help", as_it_opens),
]
SIGN_IN: Final = Shot("sign-in", "", as_it_opens)


def settle(page: Page) -> None:
    """Wait until the script has run through."""
    state = page.locator("[data-testid=stApp]")
    expect(state).to_have_attribute(
        "data-test-script-state", re.compile("notRunning"), timeout=120_000
    )


def save(page: Page, path: Path, *, width: int) -> None:
    """The whole page, in a palette that keeps the file small."""
    settle(page)
    page.wait_for_timeout(2_500)  # charts and fonts
    for _ in range(3):  # a taller window brings more of the page with it
        height = page.evaluate("document.querySelector('.stMain').scrollHeight")
        page.set_viewport_size({"width": width, "height": max(height, HEIGHT)})
        page.wait_for_timeout(1_000)
        settle(page)
    image = (
        Image.open(io.BytesIO(page.screenshot()))
        .convert("RGB")
        .quantize(256, dither=Image.Dither.NONE)
    )
    image.save(path, optimize=True)
    size = path.stat().st_size
    if size > LARGEST_BYTES:
        sys.exit(f"{path} has {size} bytes, more than {LARGEST_BYTES}")


if __name__ == "__main__":
    main()
