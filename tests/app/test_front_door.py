"""How much the pages' uploads may take of the memory."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from playwright.sync_api import expect
from tests.app.browser import app_over_memory, give, open_page, says

from medloop.app.process.front_door import Uploads
from medloop.core.imaging.decode import encode_png
from medloop.settings import Settings

MB = 2**20
SETTINGS = Settings(session_upload_mb=10, total_upload_mb=20)


def status(uploads: Uploads, size: str | None, **held: int) -> int:
    return uploads.refuse("own", size, held=Counter(held), settings=SETTINGS)


@pytest.fixture
def uploads() -> Uploads:
    found = Uploads()
    found.admit("own")
    return found


def test_a_session_takes_what_fits(uploads):
    assert status(uploads, str(4 * MB), own=6 * MB, other=10 * MB) == 0
    assert uploads.refusal("own") == ""


def test_a_full_session_is_told_and_no_other(uploads):
    assert status(uploads, str(4 * MB + 1), own=6 * MB) == 413
    assert "This page holds 6 MB of uploads, and 10 MB is the limit" in uploads.refusal("own")
    assert uploads.refusal("other") == ""


def test_all_sessions_together_have_a_limit(uploads):
    assert status(uploads, "1", other=12 * MB, third=8 * MB) == 413
    assert "All open pages together hold 20 MB" in uploads.refusal("own")


def test_uploads_on_their_way_count_until_they_have_come(uploads):
    uploads.expect("own", 9 * MB)
    assert status(uploads, str(2 * MB)) == 413
    uploads.expect("own", -9 * MB)
    assert status(uploads, str(2 * MB)) == 0


@pytest.mark.parametrize("size", [None, "", "-1", "many"])
def test_an_upload_of_unknown_length_is_refused(uploads, size):
    assert status(uploads, size) == 411


def test_who_was_not_let_in_or_has_signed_out_uploads_nothing(uploads):
    uploads.expel("own")
    assert status(uploads, "1") == 403


@pytest.mark.browser
def test_a_page_that_is_full_says_so_and_keeps_what_it_has(browser, tmp_path):
    noise = np.random.default_rng(1).integers(0, 255, (640, 640), np.uint8)
    files = [
        {"name": f"{n}.png", "mimeType": "image/png", "buffer": encode_png(np.roll(noise, n))}
        for n in range(4)
    ]
    with app_over_memory(tmp_path, settings={"MEDLOOP_SESSION_UPLOAD_MB": "1"}) as url:
        page = browser.new_page()
        open_page(page, url)
        give(page, *files)
        says(page, "model-state", "A file was refused. This page holds")
        expect(page.locator(".st-key-answer")).to_be_visible()
        says(page, "summary", "2 pictures")
        page.close()
