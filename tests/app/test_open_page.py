"""The page in a real browser: what is typed stays typed, results as they come, a folder, and a
server that restarts.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.app.browser import app_over_memory, give, open_page, says, settle, upload
from tests.app.models import picture
from tests.app.site_names import CONTESTED

from medloop.core.imaging.decode import encode_png
from medloop.stack.ports import free_ports

pytestmark = pytest.mark.browser
PILE = 400  # pictures that take some seconds


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


def test_enter_and_numbers_in_a_remark_are_the_remark_s(page, address):
    open_page(page, f"{address}/review?site={CONTESTED}")
    remark = page.get_by_label("Remark (optional)")
    remark.fill("2 of 3 agree")
    remark.press("3")
    expect(page.get_by_text("Press Enter to apply")).to_be_visible()
    remark.press("Enter")
    expect(page.get_by_text("Press Enter to apply")).to_have_count(0)
    settle(page)
    expect(remark).to_have_value("2 of 3 agree3")
    says(page, "review-decision", "People disagree")


def test_results_show_while_others_are_looked_at(page, address):
    open_page(page, f"{address}/classify")
    buffer, data = io.BytesIO(), encode_png(picture(50, side=512))
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(PILE):
            archive.writestr(f"{number}.png", data)
    give(page, {"name": "scans.zip", "mimeType": "application/zip", "buffer": buffer.getvalue()})
    page.wait_for_function(
        f"""() => {{
          const summary = document.querySelector(".st-key-summary")?.innerText ?? "";
          const classified = parseInt(summary);
          return document.querySelector(".st-key-stop") && classified > 0 && classified < {PILE};
        }}""",
        timeout=60_000,
    )
    expect(page.locator(".st-key-gallery button").first).to_be_visible()
    says(page, "summary", f"{PILE} pictures", timeout=120_000)
    expect(page.locator(".st-key-stop")).to_have_count(0)


def test_a_whole_folder_is_taken(page, address, tmp_path: Path):
    open_page(page, f"{address}/classify")
    (tmp_path / "ward" / "new").mkdir(parents=True)
    for name, level in (("a.png", 50), ("new/b.png", 120), (".hidden", 200)):
        (tmp_path / "ward" / name).write_bytes(encode_png(picture(level)))
    page.get_by_text("Or a whole folder").click()
    page.locator(".st-key-folder input[type=file]").set_input_files(tmp_path / "ward")
    says(page, "summary", "2 pictures")
    says(page, "picture", "ward/")


def test_a_restart_under_an_open_page_is_told(page, tmp_path: Path):
    (port,) = free_ports(1)
    (tmp_path / "before").mkdir()
    (tmp_path / "after").mkdir()
    with app_over_memory(tmp_path / "before", port=port) as url:
        open_page(page, f"{url}/classify")
        upload(page, 50)
    with app_over_memory(tmp_path / "after", port=port):
        expect(page.get_by_text("The pictures of this page are gone")).to_be_visible(timeout=90_000)
        settle(page)
        upload(page, 120)
        expect(page.get_by_text("The pictures of this page are gone")).to_have_count(0)
