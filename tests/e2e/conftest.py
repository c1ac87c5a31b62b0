"""One stack and one Chromium for all browser tests of the whole system."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.chromium import FLAGS, chromium_path
from tests.e2e.stack import Stack

PATIENCE_S = 30  # a training may have both processors


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium, without a window."""
    path = chromium_path()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        expect.set_options(timeout=PATIENCE_S * 1000)
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def stack(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything, started once, with the model of the package."""
    started = Stack(tmp_path_factory.mktemp("stack"))
    try:
        started.up_detached()
        yield started
    finally:
        started.run("down")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab of a person who shares nothing with another's."""
    context = browser.new_context(viewport={"width": 1280, "height": 1400})
    yield context.new_page()
    context.close()
