"""The Classify page over the whole stack: what the published system got wrong, many files, the
keyboard, a dead store.
"""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from medloop.app.kit.wording import class_name
from medloop.core.corrections.events import Correction
from medloop.core.imaging.decode import decode, encode_png
from medloop.core.prediction.predictor import Predictor
from medloop.stores.registry import CHAMPION
from tests.app.browser import press
from tests.e2e.classify_page import ClassifyPage
from tests.e2e.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.services, pytest.mark.timeout(1800)]


def example(stack: Stack, label: str, *, place: int = 0) -> np.ndarray:
    """An image of the bundled sample: uint8 [64, 64]."""
    sample = stack.context().datasets.get(None)
    return sample.images[np.flatnonzero(sample.targets == sample.labels.index(label))[place]]


def stored_corrections(stack: Stack) -> list[Correction]:
    """Every correction that lies in the bucket."""
    store = stack.context().corrections
    keys = [key for day in store.days("corrections") for key in store.keys("corrections", day)]
    return [Correction.from_json(raw) for raw in store.read(keys)]


def label_of(stack: Stack, png: bytes) -> str | None:
    """What the one stored correction of this picture says."""
    image_sha256 = decode(png).sha256
    (event,) = [event for event in stored_corrections(stack) if event.image_sha256 == image_sha256]
    return event.given_label


def test_the_page_wears_the_shipped_theme(stack: Stack, page: Page):
    for scheme, colour in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(16, 23, 26)")):
        page.emulate_media(color_scheme=scheme)
        ClassifyPage(page).open(stack.url)
        expect(page.locator(".stApp")).to_have_css("background-color", colour)


def test_many_files_are_classified_at_once(stack: Stack, page: Page):
    labels = stack.context().datasets.get(None).labels
    shown = {f"{label}-{place}.png": label for label in labels for place in range(0, 200, 20)}
    tab = ClassifyPage(page)
    tab.open(stack.url)
    tab.upload(
        {
            name: encode_png(example(stack, label, place=int(name[:-4].split("-")[1])))
            for name, label in shown.items()
        }
    )
    answers = tab.answers(count=60)
    assert sum(answers[name] == class_name(label) for name, label in shown.items()) >= 57


def test_pictures_are_answered_by_keyboard_alone(stack: Stack, page: Page):
    registry = stack.context().registry
    classes = Predictor(registry.model_file(registry.version_of(CHAMPION))).metadata.labels
    names = {
        f"{label}.png": encode_png(example(stack, label, place=11)) for label in ("Hand", "HeadCT")
    }
    tab = ClassifyPage(page)
    tab.open(stack.url)
    tab.upload(names)
    first = page.locator(".st-key-picture").first.inner_text()
    first, second = sorted(names, key=lambda name: name not in first)

    press(page, str(classes.index("CXR") + 1))
    tab.wait_for_receipt(f"{first} is {class_name('CXR')}.")
    press(page, "z")
    expect(page.locator(".st-key-summary", has_text="0 answered").first).to_be_visible()
    press(page, "0")
    tab.wait_for_receipt(f"{first} is None of these.")
    press(page, "Enter")
    tab.wait_for_receipt(f"Stored: {second} is ")

    assert label_of(stack, names[second]) == second.removesuffix(".png")
    said = [
        e.given_label
        for e in stored_corrections(stack)
        if e.image_sha256 == decode(names[first]).sha256
    ]
    assert said == ["CXR", None]


def test_two_people_with_files_of_one_name_each_get_their_own_answer(
    stack: Stack, browser: Browser
):
    hand, head = (encode_png(example(stack, label)) for label in ("Hand", "HeadCT"))
    contexts = [browser.new_context() for _ in range(2)]
    one, other = tabs = [ClassifyPage(context.new_page()) for context in contexts]
    for tab in tabs:
        tab.open(stack.url)

    for tab, png in zip(
        tabs, (hand, head), strict=True
    ):  # both are under way before either is looked at
        tab.start_upload({"image.png": png})
    for tab in tabs:
        tab.wait_for_pictures(1)

    assert class_name("Hand") in one.headline
    assert class_name("HeadCT") in other.headline
    for context in contexts:
        context.close()


def test_a_colour_picture_is_read_like_its_grey_one(stack: Stack, page: Page):
    colour = io.BytesIO()
    Image.fromarray(example(stack, "BreastMRI")).convert("RGB").save(colour, "PNG")
    tab = ClassifyPage(page)
    tab.open(stack.url)
    tab.upload({"colour.png": colour.getvalue()})
    assert class_name("BreastMRI") in tab.headline


def test_a_file_that_is_no_picture_gets_a_sentence_and_the_page_goes_on(stack: Stack, page: Page):
    tab = ClassifyPage(page)
    tab.open(stack.url)
    tab.upload(
        {"broken.png": b"not a picture", "hand.png": encode_png(example(stack, "Hand"))},
        unreadable=1,
    )
    assert "broken.png" in page.locator(".st-key-unreadable").inner_text()
    assert class_name("Hand") in tab.headline


def test_a_correction_survives_the_death_of_the_store(stack: Stack, page: Page):
    png = encode_png(np.fliplr(example(stack, "Hand", place=7)))
    tab = ClassifyPage(page)
    tab.open(stack.url)
    tab.upload({"hand.png": png})

    with stack.frozen_s3():
        tab.correct_next({"hand.png": "CXR"})
        tab.wait_for_receipt("Saved here: hand.png")

    tab.wait_for_receipt("Stored: hand.png", timeout_s=120)
    assert label_of(stack, png) == "CXR"
