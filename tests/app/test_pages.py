"""My corrections, Review, Models, Monitor and Help: their contents and their bad days."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.app.apptest import button, has_button, texts

from medloop.app.process.backend import install
from medloop.core.corrections.events import Review
from medloop.jobs.correct import withdraw
from medloop.jobs.review import queue
from medloop.jobs.snapshot import snapshot

PAGES = ("home", "classify", "corrections", "review", "models", "monitor", "help")


@pytest.mark.parametrize("name", PAGES)
def test_every_page_opens_with_a_model(site, run_page, name):
    app = run_page(name)
    assert not app.exception
    assert app.title


@pytest.mark.parametrize("name", PAGES)
def test_every_page_opens_without_a_model(empty_site, run_page, name):
    app = run_page(name)
    assert not app.exception
    assert app.title


@pytest.mark.parametrize("name", PAGES)
def test_every_page_opens_while_the_registry_is_away(site, run_page, name):
    site.say(50, "CXR")
    site.registry.away = True
    site.backend.champion.refresh()
    app = run_page(name)
    assert not app.exception
    assert app.title


def test_my_corrections_are_empty_at_first(site, run_page):
    assert "not corrected or confirmed anything" in texts(run_page("corrections"))


def test_a_stored_correction_waits_for_the_next_training(site, run_page):
    site.say(50, "Hand")
    page = texts(run_page("corrections"))
    assert "1 picture" in page
    assert "Instead of version 1: Chest X-ray" in page
    assert "Waits for the next training" in page


def test_only_my_own_corrections_are_shown(site, run_page):
    site.say(50, "Hand", who="eve")
    assert "not corrected or confirmed anything" in texts(run_page("corrections"))


def test_a_correction_can_be_taken_back_until_a_snapshot_holds_it(site, run_page):
    site.say(50, "Hand")
    app = run_page("corrections")
    button(app, "withdraw-").click().run()
    assert "Taken back" in texts(app)
    assert not has_button(app, "withdraw-")


def test_a_correction_in_a_snapshot_says_so_and_stays(site, run_page):
    site.say(50, "Hand")
    taken = snapshot(site.context)
    app = run_page("corrections")
    assert f"In snapshot {taken.snapshot_id[:8]}" in texts(app)
    assert not has_button(app, "withdraw-")


def test_my_corrections_go_on_while_the_store_is_away(site, run_page):
    site.say(50, "Hand")
    site.store.away = True
    app = run_page("corrections")
    assert "pictures cannot be shown" in texts(app)
    assert not app.exception


def test_an_empty_queue_is_good_news(site, run_page):
    assert "Nothing waits" in texts(run_page("review"))


def test_a_conflict_shows_both_sides_and_is_decided_by_one_click(site, run_page):
    sha256 = site.say(50, "Hand", who="ada")
    site.say(50, "ChestCT", who="eve")
    app = run_page("review")
    page = texts(app)
    assert "because people disagree" in page
    assert "Hand 1 vote" in page
    assert "Chest CT 1 vote" in page
    assert not has_button(app, "review-approve")
    button(app, "review-class-Hand").click().run()
    assert "Nothing waits" in texts(app)
    site.context.sender.send_once()
    (key,) = [info.key for info in site.context.objects.list("reviews")]
    decision = Review.from_json(site.context.objects.get(key))
    assert (decision.action, decision.label, decision.image_sha256) == ("relabel", "Hand", sha256)


def test_a_honeypot_looks_like_anything_that_waits_and_its_answer_is_kept_apart(site, run_page):
    settings = site.context.settings.model_copy(update={"honeypots": 0.5})
    site.backend = replace(site.backend, context=replace(site.context, settings=settings))
    install(site.backend)
    for level in range(20, 240, 20):
        site.say(level, "Hand", who="eve")
        site.say(level, "CXR", who="mallory")
    waiting = queue(site.context, who="ada")
    place = next(place for place, item in enumerate(waiting) if item.known_label)
    app = run_page("review")
    app.session_state["review-place"] = place
    app.run()
    assert f"**{len(waiting)} pictures** wait" in texts(app)
    assert "nearly the same picture is known as" in texts(app)
    assert "cannot be shown" not in texts(app)
    button(app, "review-approve").click().run()
    assert not app.exception
    site.context.sender.send_once()
    (key,) = [info.key for info in site.context.objects.list("reviews")]
    answer = Review.from_json(site.context.objects.get(key))
    assert (answer.action, answer.image_sha256, answer.who) == (
        "trial",
        waiting[place].image_sha256,
        "ada",
    )
    assert len(queue(site.context, who="ada")) == len(waiting) - 1


def test_the_queue_says_when_the_store_is_away(site, run_page):
    site.store.away = True
    app = run_page("review")
    assert "queue cannot be read" in texts(app)
    assert not app.exception


def test_help_names_limits_licence_and_versions(site, run_page):
    page = texts(run_page("help"))
    assert "not a medical device" in page
    assert "CC BY-SA 4.0" in page
    assert "version 1" in page
    assert "everybody here may do everything, recorded as ada" in page


@pytest.mark.parametrize(
    "word", ["Champion", "Challenger", "Reference", "Gate", "Snapshot", "Drift"]
)
def test_help_explains_the_words_of_the_other_pages(site, run_page, word):
    assert f"| **{word}** |" in texts(run_page("help"))


def test_help_names_every_key_that_a_page_listens_to(site, run_page):
    site.say(50, "Hand", who="ada")
    site.say(50, "ChestCT", who="eve")
    classify = run_page("classify")
    button(classify, "examples").click().run()
    used = {
        b.proto.shortcut.lower() for app in (classify, run_page("review")) for b in app.button
    } - {""}
    names = {"left": "←", "right": "→", "enter": "Enter"}
    page = texts(run_page("help"))
    assert {"left", "right", "0", "1"} <= used
    assert [
        key for key in used - set("123456789") if f"`{names.get(key, key.upper())}`" not in page
    ] == []


def test_a_withdrawal_from_elsewhere_is_seen(site, run_page):
    sha256 = site.say(50, "Hand")
    withdraw(site.context, image_sha256=sha256, who="ada")
    assert "Taken back" in texts(run_page("corrections"))
