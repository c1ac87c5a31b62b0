"""Every page and state as axe-core sees it: the shipped colours, light and dark, wide and
narrow.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable

import pytest
from playwright.sync_api import Page, expect
from tests.app.axe import needs_no_sideways_scrolling, serious
from tests.app.browser import SHIPPED_CONFIG, files, give, open_page, press, says, settle, upload
from tests.app.site_names import AWAY, BROKEN, EMPTY, REVIEWING
from tests.app.test_clearance import named

pytestmark = pytest.mark.browser
Look = tuple[str, int]  # colour scheme, width
WIDE, DARK = ("light", 1280), ("dark", 1280)
ZOOMED, TELEPHONE, DARK_TELEPHONE = (
    ("light", 640),
    ("light", 400),
    ("dark", 400),
)  # zoomed: 1280 at 200 %
PAGES = ("home", "classify", "corrections", "review", "models", "monitor", "help")
BAD_DAYS = {  # what each page says then
    EMPTY: (
        "No version",
        "There is no model yet",
        "You have not corrected",
        "Nothing waits",
        "There is no model yet",
        "No pictures yet",
        "none yet",
    ),
    AWAY: (
        "Not everything is known",
        "goes on serving",
        "pictures cannot be shown",
        "cannot be read",
        "registry does not answer",
        "cannot be read",
        "version 1",
    ),
}


@pytest.fixture(scope="module")
def tab(browser) -> Page:
    return browser.new_page()


@pytest.fixture
def page(tab) -> Page:
    """One tab for all, without the pictures of the test before."""
    if tab.url != "about:blank":
        tab.evaluate("sessionStorage.clear()")
    return tab


def look(page: Page, scheme: str, width: int) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    settle(page)


def complaints(page: Page, what: str, looks: Iterable[Look] = (WIDE, DARK_TELEPHONE)) -> list[str]:
    """What is wrong with the page as it stands, in each look; then it is wide again."""
    found = []
    for scheme, width in looks:
        look(page, scheme, width)
        needs_no_sideways_scrolling(page)
        found += [f"{what}, {scheme}, {width} px: {text}" for text in serious(page)]
    look(page, *WIDE)
    return found


def rgb(colour: str) -> str:
    """#rrggbb as a browser computes it."""
    return f"rgb({', '.join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))})"


def test_the_colours_are_those_of_the_shipped_theme(page, address):
    theme = tomllib.loads((SHIPPED_CONFIG / "config.toml").read_text())["theme"]
    open_page(page, f"{address}/classify")
    button = page.locator(".st-key-examples button")
    for scheme in ("light", "dark"):
        look(page, scheme, 1280)
        for element, style, name in (
            (page.locator(".stApp"), "background-color", "backgroundColor"),
            (page.locator("h1"), "color", "textColor"),
            (button, "border-color", "borderColor"),
        ):
            expect(element).to_have_css(style, rgb(theme[scheme][name]))


@pytest.mark.parametrize("name", PAGES)
def test_every_page_in_every_look(page, address, name):
    open_page(page, f"{address}/{name}")
    if name == "classify":
        upload(page, 255, 50, 120)
    assert complaints(page, name, (WIDE, DARK, ZOOMED, TELEPHONE, DARK_TELEPHONE)) == []


def test_classify_from_the_empty_page_to_the_receipt(page, address):
    open_page(page, f"{address}/classify")
    found = complaints(page, "empty")
    give(page, {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"})
    says(page, "unreadable", "notes.txt")
    found += complaints(page, "nothing but an unreadable file")
    give(page, *files(85, 50))
    says(page, "summary", "2 pictures")
    page.locator(".st-key-why summary").click()
    expect(page.locator(".st-key-why")).to_contain_text("Most alike")
    found += complaints(page, "why")
    press(page, "1")
    says(page, "receipt", "85.png is Chest X-ray.")
    found += complaints(page, "receipt")
    page.locator(".st-key-gallery button").last.click(modifiers=["Shift"])
    page.locator(".st-key-layout button").last.click()
    says(page, "answer", "chosen")
    found += complaints(page, "chosen on the wall", (WIDE, DARK, ZOOMED, DARK_TELEPHONE))
    for name in ("Filter", "Export", "More"):
        page.get_by_role("button", name=name).click()
        found += complaints(page, name)
        page.keyboard.press("Escape")
    assert found == []


def test_a_picture_that_may_name_a_patient(page, address):
    open_page(page, f"{address}/classify")
    give(page, {"name": "scan", "mimeType": "application/dicom", "buffer": named(85)})
    says(page, "answer", "No name or date of a patient is in this picture")
    page.locator('[class*="st-key-right-"] button').click()
    says(page, "receipt", "Nothing is saved")
    assert complaints(page, "clearance") == []


def test_several_pictures_to_review(page, address):
    open_page(page, f"{address}/review?site={REVIEWING}")
    says(page, "review-alike", "Most alike")
    page.locator(".st-key-several summary").click()
    expect(page.get_by_role("checkbox").first).to_be_visible()
    assert complaints(page, "several", (WIDE, DARK, ZOOMED, DARK_TELEPHONE)) == []


def test_the_tabs_and_dialogs_of_models(page, address):
    open_page(page, f"{address}/models")
    found = []
    for tab in ("Test report", "History"):
        page.get_by_role("tab", name=tab).click()
        settle(page)
        for summary in page.locator(".stMain summary:visible").all():
            summary.click()
            settle(page)
        found += complaints(page, tab)
    for key, title in (
        ("retrain", "Retrain now"),
        ("roll-back", "Roll back"),
        ("promote", "Promote by hand"),
    ):
        page.locator(f".st-key-{key} button").first.click()
        expect(page.get_by_role("dialog")).to_contain_text(title)
        found += complaints(page, title)
        press(page, "Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
    assert found == []


@pytest.mark.parametrize("site", [EMPTY, AWAY])
def test_bad_days(page, address, site):
    found = []
    for name, sentence in zip(PAGES, BAD_DAYS[site], strict=True):
        open_page(page, f"{address}/{name}?site={site}")
        expect(page.get_by_text(re.compile(sentence)).first).to_be_visible()
        found += complaints(page, f"{name} {site}")
    assert found == []


def test_a_defect_shows_a_sentence_and_no_stack_trace(page, address, folder):
    page.goto(f"{address}/?site={BROKEN}")
    expect(page.locator("[data-testid=stException]")).to_be_visible()
    shown = page.locator("body").inner_text()
    assert "Something failed that medloop did not expect." in shown
    for detail in ("nobody foresaw", "RuntimeError", "Traceback", "site_app.py", "Streamlit"):
        assert detail not in shown
    assert "nobody foresaw" in (folder / "app.log").read_text()
    assert complaints(page, "defect") == []
