"""The levers of the Models page, with the rights that the page has in the stack: retrain, promote
by hand, roll back.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from medloop.core.imaging.decode import encode_png
from medloop.jobs.alias_moves import moves
from medloop.stores.registry import CHAMPION
from tests.app.browser import settle
from tests.e2e.classify_page import ClassifyPage
from tests.e2e.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.services, pytest.mark.timeout(1800)]

TRAINED_WITHIN_MS = 900_000


def press_with_reason(page: Page, key: str, reason: str) -> None:
    """A lever that asks why."""
    settle(page)
    page.locator(f".st-key-{key} button").first.click()
    page.get_by_role("dialog").get_by_label(re.compile("^Reason")).fill(reason)
    page.keyboard.press("Tab")
    page.locator(f".st-key-{key}-sure button").first.click()


def teach_something_new(stack: Stack) -> None:
    """A correction that no version has learned: with nothing new, even a forced round finds its
    training done.
    """
    sample = stack.context().datasets.get(None)
    hand = sample.images[np.flatnonzero(sample.targets == sample.labels.index("Hand"))[55]]
    (stack.folder / "hand.png").write_bytes(encode_png(np.fliplr(hand)))
    stack.command("correct", "hand.png", "--label", "Hand", "--yes")


@pytest.mark.slow
def test_the_page_retrains_promotes_and_rolls_back(stack: Stack, page: Page):
    stack.wait_for_the_last_tick()  # it would take what is new
    teach_something_new(stack)
    context = stack.context()
    known = len(context.registry.versions())
    page.goto(f"{stack.url}/models")
    page.locator(".st-key-retrain button").click(
        timeout=120_000
    )  # the first page of a process takes its time
    page.locator(".st-key-retrain-force label").click()
    page.locator(".st-key-retrain-start button").click()
    run = page.locator(".st-key-training-run")
    expect(run).to_contain_text("Collect the corrections", timeout=60_000)
    expect(run).to_contain_text(
        re.compile(r"Version \d+ (passed its tests|was tested)"), timeout=TRAINED_WITHIN_MS
    )
    assert len(context.registry.versions()) == known + 1

    before = context.registry.version_of(CHAMPION)
    press_with_reason(page, "promote", "a test of the lever")
    expect(page.get_by_text(re.compile(r"Version \d+ answers from now on\."))).to_be_visible(
        timeout=60_000
    )
    promoted = context.registry.version_of(CHAMPION)
    assert promoted != before
    press_with_reason(page, "roll-back", "the end of a test")
    expect(page.get_by_text(f"Version {before} answers again.")).to_be_visible(timeout=60_000)
    assert context.registry.version_of(CHAMPION) == before
    assert [(move.action, move.to_version) for move in moves(context)[-2:]] == [
        ("promote", promoted),
        ("rollback", before),
    ]


def test_the_monitor_finds_all_well(stack: Stack, page: Page):
    tab = ClassifyPage(page)
    tab.open(stack.url)
    page.goto(f"{stack.url}/monitor")
    health = page.locator(".st-key-health")
    for part in ("Store (S3)", "Model registry (MLflow)", "Training (Airflow)"):
        expect(health).to_contain_text(
            re.compile(re.escape(part) + r": answers in \d+ ms"), timeout=60_000
        )
    expect(health).not_to_contain_text("not set")
