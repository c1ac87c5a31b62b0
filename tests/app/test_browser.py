"""The pages in a real browser: many files, the keyboard, a new version, a review and the levers."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator

import pytest
from playwright.sync_api import FilePayload, Page, expect
from tests.app.browser import files, give, open_page, press, says, settle, upload
from tests.app.models import picture
from tests.app.scans import ct_stack
from tests.app.site_names import REVIEWING
from tests.app.test_clearance import named

from medloop.app.kit import actions
from medloop.core.imaging.decode import encode_png

pytestmark = pytest.mark.browser
PILE = 120  # pictures that take some seconds


@pytest.fixture
def page(browser, address) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    open_page(opened, f"{address}/classify")
    yield opened
    context.close()


def test_many_pictures_are_corrected_by_keyboard_alone(page):
    upload(page, 255, 85, 50, 120, 200)
    says(page, "summary", "5 pictures")
    says(page, "picture", "255.png")
    press(page, "0")
    says(page, "receipt", "Stored: 255.png is None of these.")
    says(page, "picture", "85.png")
    press(page, "1")
    says(page, "receipt", "85.png is Chest X-ray.")
    press(page, "z")
    says(page, "picture", "85.png")
    says(page, "summary", "1 answered")
    press(page, "Enter")
    says(page, "receipt", "85.png is Chest CT.")
    page.locator(".st-key-choose button").click()
    page.get_by_role("menuitem", name="All open (3)").click()
    says(page, "answer", "3 chosen")
    press(page, "Enter")
    says(page, "receipt", "3 pictures confirmed.")
    says(page, "summary", "5 answered")


def test_no_key_is_swallowed_however_fast_they_come(page):
    upload(page, *range(40, 60))
    for _ in range(8):
        page.keyboard.press("3")
        page.wait_for_timeout(150)
    says(page, "summary", "8 answered")
    settle(page)
    says(page, "receipt", "is Hand.")
    says(page, "summary", "8 answered")


def test_a_row_of_pictures_is_answered_and_taken_back_with_a_key_each(page):
    upload(page, *range(40, 60))
    pictures = page.locator(".st-key-gallery button")
    pictures.first.click()
    pictures.last.click(modifiers=["Shift"])
    says(page, "answer", "20 chosen")
    press(page, "3")
    says(page, "receipt", "Stored: 20 pictures answered as Hand.")
    says(page, "summary", "20 answered")
    press(page, "z")
    says(page, "summary", "0 answered")


def test_pictures_are_chosen_one_by_one_and_the_others_stay_open(page):
    upload(page, 50, 51, 52)
    pictures = page.locator(".st-key-gallery button")
    for place in (0, 2):
        pictures.nth(place).click(modifiers=["Control"])
    says(page, "answer", "2 chosen")
    page.locator(".st-key-right-chosen button").click()
    says(page, "receipt", "2 pictures confirmed.")
    says(page, "summary", "2 answered")


def test_the_picture_zooms_and_the_next_one_is_whole_again(page):
    upload(page, 50, 120)
    shown = page.locator(".st-key-shown img")
    shown.hover()
    page.keyboard.down("Shift")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Shift")
    expect(shown).to_have_css("transform", re.compile(r"matrix\(2\.7"))
    press(page, "ArrowRight")
    expect(shown).to_have_css("transform", "matrix(1, 0, 0, 1, 0, 0)")


@pytest.mark.parametrize("width", [1280, 400])
def test_the_answer_is_above_the_fold_with_fifty_files(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    give(page, *files(*range(40, 90)))
    says(page, "summary", "50 pictures")
    settle(page)
    for key in ("main-choices", "classes"):
        box = page.locator(f".st-key-{key}").bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 800


def test_the_wall_and_the_filters_show_what_is_asked_for(page):
    upload(page, 255, 85, 50, 120, 200)
    page.locator(".st-key-layout button").last.click()
    expect(page.locator(".st-key-gallery ul.wall")).to_be_visible()
    page.locator(".st-key-summary button", has_text="3 confident").click()
    expect(page.locator(".st-key-gallery button")).to_have_count(3)
    page.get_by_role("button", name="Filter").click()
    page.get_by_label("Part of the file name").fill("20")
    page.keyboard.press("Enter")
    expect(page.locator(".st-key-gallery button")).to_have_count(2)  # 120 and 200
    page.locator("h1").click()
    page.locator(".st-key-choose button").click()
    expect(page.get_by_role("menuitem", name="All open (2)")).to_be_visible()


def test_files_that_cannot_be_read_are_one_line_with_a_list(page):
    bad = [
        {"name": f"{n}.txt", "mimeType": "text/plain", "buffer": b"no picture"} for n in range(3)
    ]
    give(page, *files(50), *bad)
    says(page, "unreadable", "3 files could not be read")
    expect(page.get_by_text("2.txt: This is a text file")).to_be_hidden()
    page.locator(".st-key-unreadable summary").click()
    expect(page.get_by_text("2.txt: This is a text file")).to_be_visible()


def test_pictures_outlast_other_pages_and_a_reload_in_their_own_tab(page):
    upload(page, 50, 120)
    press(page, "Enter")
    says(page, "summary", "1 answered")
    page.get_by_role("link", name="Help").click()
    expect(page.locator("h1")).to_have_text("How medloop learns")
    page.get_by_role("link", name="Classify").click()
    says(page, "summary", "1 answered")
    page.reload()
    says(page, "summary", "1 answered")
    give(page, *files(200))
    says(page, "summary", "3 pictures")
    copy = page.context.new_page()
    kept = page.evaluate("sessionStorage.getItem('medloop-pictures')")
    copy.add_init_script(f"sessionStorage.setItem('medloop-pictures', {kept!r})")
    open_page(copy, page.url)
    expect(copy.locator(".st-key-summary")).to_have_count(0)
    says(page, "summary", "3 pictures")


def test_enter_on_a_focused_button_presses_that_button_alone(page):
    upload(page, 50)
    hand = page.locator('[class*="st-key-class-Hand-"] button')
    expect(hand).to_have_count(1)
    settle(page)
    hand.focus()
    press(page, "Enter")
    says(page, "receipt", "50.png is Hand.")


def test_number_keys_answer_after_a_tick_with_the_mouse(page):
    give(page, {"name": "named.dcm", "mimeType": "application/dicom", "buffer": named(50)})
    settle(page)
    page.get_by_text(actions.CLEARANCE).click()
    press(page, "1")
    says(page, "receipt", "named.dcm is Chest X-ray.")


def test_arrows_on_the_slices_stay_with_the_picture(page):
    scan: FilePayload = {
        "name": "a.dcm",
        "mimeType": "application/dicom",
        "buffer": ct_stack((50, 120, 200)),
    }
    give(page, scan, {**scan, "name": "b.dcm"})
    says(page, "summary", "2 pictures")
    settle(page)
    shown = page.locator(".st-key-picture").inner_text()
    page.get_by_role("slider", name="Slice").first.focus()
    press(page, "ArrowRight")
    expect(page.get_by_role("slider", name="Slice").first).to_have_value("3")
    settle(page)
    assert ("a.dcm" in shown) == ("a.dcm" in page.locator(".st-key-picture").inner_text())


def test_a_double_click_answers_one_picture(page):
    upload(page, 255, 254)
    page.locator('[class*="st-key-none-"] button').dblclick()
    says(page, "receipt", "None of these")
    settle(page)
    says(page, "summary", "1 answered")


def test_a_thumbnail_brings_its_picture(page):
    upload(page, 50, 120, 200)
    page.locator(".st-key-gallery button", has_text="Hand").click()
    says(page, "picture", "200.png")


def test_a_zip_is_opened(page):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for level in (50, 200):
            archive.writestr(f"{level}.png", encode_png(picture(level)))
    give(page, {"name": "scans.zip", "mimeType": "application/zip", "buffer": buffer.getvalue()})
    says(page, "summary", "2 pictures")


def test_a_hundred_pictures_at_once(page):
    give(page, *files(*range(20, 120)))
    says(page, "summary", "100 pictures", timeout=60_000)


def test_a_long_batch_stops_when_told_and_goes_on_when_told(page):
    buffer = io.BytesIO()
    data = encode_png(picture(50, side=512))
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(PILE):
            archive.writestr(f"{number}.png", data)
    give(page, {"name": "scans.zip", "mimeType": "application/zip", "buffer": buffer.getvalue()})
    expect(page.get_by_text(re.compile("Classified [1-9]"))).to_be_visible()
    page.locator(".st-key-stop button").click()
    says(page, "skipped", "not classified")
    settle(page)
    says(page, "summary", "pictures")
    looked_at = int(page.locator(".st-key-summary").first.inner_text().split()[0])
    assert 0 < looked_at < PILE
    page.locator(".st-key-go-on button").click()
    says(page, "summary", f"{PILE} pictures", timeout=120_000)


def test_an_open_page_answers_with_a_new_version(page, folder):
    upload(page, 50)
    says(page, "answer", "model version 1")
    (folder / "champion").write_text("2")
    says(page, "model-state", "Version 2 answers now.")
    says(page, "answer", "model version 2")
    says(page, "answer", "Hand")
    (folder / "champion").write_text("1")
    says(page, "model-state", "Version 1 answers now.")


def test_a_conflict_is_reviewed_by_keyboard(page, address):
    open_page(page, f"{address}/review")
    says(page, "review-decision", "People disagree")
    says(page, "review-classes", "None of these")
    press(page, "3")
    expect(page.get_by_text("2 pictures wait, 2 because people disagree")).to_be_visible()


def test_several_pictures_are_decided_at_once_by_keyboard(page, address):
    open_page(page, f"{address}/review?site={REVIEWING}")
    waiting = page.locator(".stMain")
    expect(waiting).to_contain_text("4 pictures wait")
    expect(page.get_by_text("Most alike among the labelled pictures")).to_be_visible()  # drawn last
    settle(page)  # what is redrawn loses the focus
    page.locator(".st-key-several summary").focus()
    press(page, "Enter")
    boxes = page.get_by_role("checkbox")
    expect(boxes).to_have_count(4)
    for name in ("1: Hand, the model: Chest X-ray", "3: Hand"):
        page.get_by_role("checkbox", name=name).focus()
        press(page, "Space")
        press(page, "Enter")  # nothing: it must not say "Right" to the picture above
    expect(page.locator(".st-key-several-pictures input:checked")).to_have_count(2)
    expect(waiting).to_contain_text("4 pictures wait")
    settle(page)
    page.locator(".st-key-several-approve button").focus()
    press(page, "Enter")
    expect(waiting).to_contain_text("2 pictures wait")
    expect(boxes).to_have_count(2)


def test_a_version_is_promoted_and_rolled_back_with_reasons(page, address):
    open_page(page, f"{address}/models")
    page.locator(".st-key-promote button").click()
    page.get_by_role("dialog").get_by_label(re.compile("^Reason")).fill("better on our scanner")
    press(page, "Tab")
    page.locator(".st-key-promote-sure button").click()
    expect(page.get_by_text("Version 2 answers from now on.")).to_be_visible()
    settle(page)
    page.locator(".st-key-roll-back button").click()
    page.get_by_role("dialog").get_by_label(re.compile("^Reason")).fill("worse on hands")
    press(page, "Tab")
    page.locator(".st-key-roll-back-sure button").click()
    expect(page.get_by_text("Version 1 answers again.")).to_be_visible()
    page.get_by_role("tab", name="History").click()
    expect(page.get_by_text("worse on hands")).to_be_visible()


def test_two_browsers_see_nothing_of_each_other(browser, page, address):
    upload(page, 50)
    other = browser.new_context().new_page()
    open_page(other, f"{address}/classify")
    expect(other.locator(".st-key-answer")).to_have_count(0)
    other.context.close()
