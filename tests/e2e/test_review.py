"""Two people disagree about a picture, and a reviewer decides by keyboard, over the whole stack."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from medloop.app.kit.wording import class_name
from medloop.core.corrections.events import Review
from medloop.core.imaging.decode import decode, encode_png
from medloop.jobs.review import queue
from tests.app.browser import open_page, press, says
from tests.e2e.classify_page import ClassifyPage
from tests.e2e.stack import Stack
from tests.servers import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.services, pytest.mark.timeout(1800)]


def stored_decisions(stack: Stack, image_sha256: str) -> list[Review]:
    """What reviewers decided about a picture, as it lies in the bucket."""
    store = stack.context().corrections
    found = [
        Review.from_json(raw)
        for day in store.days("reviews")
        for raw in store.read(store.keys("reviews", day))
    ]
    return [
        event for event in found if event.image_sha256 == image_sha256 and event.action == "relabel"
    ]


def test_a_conflict_between_two_people_is_decided_by_keyboard(stack: Stack, page: Page):
    sample = stack.context().datasets.get(None)
    png = encode_png(
        np.flipud(sample.images[np.flatnonzero(sample.targets == sample.labels.index("Hand"))[33]])
    )
    (stack.folder / "scan.png").write_bytes(png)
    stack.command("correct", "scan.png", "--label", "CXR", "--as", "bob", "--yes")
    tab = ClassifyPage(page)
    tab.open(stack.url)
    tab.upload({"scan.png": png})
    tab.correct_next({"scan.png": "Hand"})
    tab.wait_for_receipt("Stored: scan.png")

    image_sha256 = decode(png).sha256
    waiting = [item.image_sha256 for item in queue(stack.context())]
    open_page(page, f"{stack.url}/review")
    for _ in range(waiting.index(image_sha256)):
        press(page, "ArrowRight")
    says(page, "review-decision", "People disagree")
    for label in ("CXR", "Hand"):
        says(page, "review-decision", class_name(label))
    buttons = page.locator(".st-key-review-classes button").all_inner_texts()
    press(page, str([class_name("Hand") in text for text in buttons].index(True) + 1))

    wait_until(
        lambda: stored_decisions(stack, image_sha256),
        what="the decision should be stored",
        timeout_s=60,
    )
    assert [event.label for event in stored_decisions(stack, image_sha256)] == ["Hand"]
    expect(page.locator(".st-key-review-decision", has_text="People disagree")).to_have_count(0)
    assert image_sha256 not in [item.image_sha256 for item in queue(stack.context())]
