"""Names that other people chose are shown as they are: no picture, link or icon comes of them."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.app.apptest import texts
from tests.app.browser import open_page
from tests.app.site_names import PLAIN
from tests.hostile_names import HOSTILE

from medloop.app.kit.escape_markdown import JOINER, plain


def test_an_ordinary_name_stays_as_it_is():
    assert (
        plain("Müller hand (2), left - 50.png: 3 × 4 mm")
        == "Müller hand (2), left - 50.png: 3 × 4 mm"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\n\n# b\r\n\tc", r"a \# b c"),
        ("a\x1b[2Jb", r"a\\x1b\[2Jb"),
        ("\u202egnp.exe", r"\\u202egnp.exe"),
        ("a:b", f"a:{JOINER}b"),
        ("\ud800", r"\\ud800"),
        ("", ""),
    ],
)
def test_it_is_one_line_without_anything_that_cannot_be_seen(text, shown):
    assert plain(text) == shown


@pytest.fixture(scope="module")
def shown(browser: Browser, address: str) -> tuple[Page, list[str]]:
    """The page of `plain_app.py`, and every address elsewhere that the browser asked for."""
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_page(page, f"{address}/?site={PLAIN}")
    expect(page.locator("h1", has_text="Done")).to_be_visible()
    own = (address, address.replace("http", "ws"), "data:")
    return page, [url for url in asked if not url.startswith(own)]


@pytest.mark.browser
def test_no_picture_link_or_icon_comes_of_hostile_text_in_any_element(shown):
    page, asked_elsewhere = shown
    content = page.locator("[data-testid=stMain]")
    assert content.locator("a[href]:not([href^='#'])").count() == 0
    assert (
        content.locator("[data-testid=stMarkdownContainer] img, [src*='example.invalid']").count()
        == 0
    )
    icons = [icon.inner_text() for icon in content.locator("[data-testid=stIconMaterial]").all()]
    assert set(icons) <= {"cloud_done"}
    assert (
        content.locator("table, blockquote, pre, code, ol, ul, hr, .katex, em, del, input").count()
        == 0
    )
    assert asked_elsewhere == []


@pytest.mark.browser
def test_hostile_text_reads_as_it_was_written(shown):
    page, _ = shown
    texts = page.locator(
        "[class*=st-key-text-] [data-testid=stMarkdownContainer]"
    ).all_inner_texts()
    assert [text.replace(JOINER, "") for text in texts] == [text.strip() for text in HOSTILE]


def test_labels_are_escaped_where_corrections_are_listed_and_reviewed(site, run_page):
    """A label reaches the page from S3 as well, and there it may be anything."""
    label = "![](https://example.invalid/x.png)"
    site.say(60, label, who="bob")
    site.say(60, "CXR", who="ada")
    site.say(70, label, who="ada")
    for app in (run_page("review"), run_page("corrections")):
        assert not app.exception
        words = texts(app)
        for element in app.get("html"):  # HTML is no Markdown, and escaped in its own way
            words = words.replace(element.proto.body, "")
        assert label not in words
        assert plain(label) in words
