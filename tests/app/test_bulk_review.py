"""Review: several pictures decided with one click."""

from __future__ import annotations

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest
from tests.app.apptest import button, texts

from medloop.app.process.backend import install
from medloop.app.review.bulk_review import MAX_PICTURES, claim, offered
from medloop.core.corrections.events import Review
from medloop.jobs.review import queue


@pytest.fixture
def site(site):
    """Everything waits for a reviewer here."""
    settings = site.context.settings.model_copy(update={"review": "all"})
    site.backend = replace(site.backend, context=replace(site.context, settings=settings))
    install(site.backend)
    return site


def opened(run_page) -> AppTest:
    app = run_page("review")
    app.session_state["several"] = True
    return app.run()


def decisions(site) -> dict[str, tuple[str, str | None, str]]:
    site.context.sender.send_once()
    found = [
        Review.from_json(site.context.objects.get(info.key))
        for info in site.context.objects.list("reviews")
    ]
    return {event.image_sha256: (event.action, event.label, event.why) for event in found}


@pytest.mark.parametrize(
    ("name", "decided"),
    [
        ("several-approve", ("approve", None)),
        ("several-reject", ("reject", None)),
        ("several-class-Hand", ("relabel", "Hand")),
        ("several-none", ("relabel", None)),
    ],
)
def test_what_is_ticked_is_decided_and_nothing_else(site, run_page, name, decided):
    first, second, third = (site.say(level, "CXR", who="eve") for level in (50, 120, 200))
    app = opened(run_page)
    for sha256 in (first, third):
        app.checkbox(key=f"several-{sha256}").check()
    app.text_input(key="several-why").set_value("seen together")
    button(app, name).click().run()
    assert not app.exception
    assert decisions(site) == dict.fromkeys((first, third), (*decided, "seen together"))
    assert [item.image_sha256 for item in queue(site.context)] == [second]


def test_each_box_says_what_is_claimed(site, run_page):
    site.say(50, "Hand", who="eve")
    site.say(120, "ChestCT", who="eve")
    app = opened(run_page)
    assert [box.label for box in app.checkbox] == ["1: Hand, the model: Chest X-ray", "2: Chest CT"]
    alts = [image.alt for element in app.get("image") for image in element.proto.imgs]
    assert {"Picture 1", "Picture 2"} <= set(alts)


def test_all_can_be_ticked_at_once(site, run_page):
    said = [site.say(level, "CXR", who="eve") for level in (50, 120, 200)]
    app = opened(run_page)
    button(app, "several-tick").click().run()
    assert [box.value for box in app.checkbox] == [True, True, True]
    button(app, "several-approve").click().run()
    assert set(decisions(site)) == set(said)
    assert "Nothing waits" in texts(app)


def test_nothing_ticked_is_told(site, run_page):
    site.say(50, "CXR", who="eve")
    site.say(120, "CXR", who="eve")
    app = opened(run_page)
    button(app, "several-reject").click().run()
    assert app.error[0].value == "Please tick at least one picture first."
    assert decisions(site) == {}


def test_conflicts_are_left_to_a_look_of_their_own(site, run_page):
    site.say(50, "Hand", who="ada")
    site.say(50, "ChestCT", who="eve")
    alone = site.say(120, "CXR", who="eve")
    assert [
        item.image_sha256 for item in offered(site.context, queue(site.context), who="ada")
    ] == [alone]
    app = run_page("review")
    assert not app.expander, "one picture is not several"


def test_a_picture_that_cannot_be_shown_is_not_decided_unseen(site, run_page):
    said = [site.say(level, "CXR", who="eve") for level in (30, 60, 90)]
    (gone,) = [info.key for info in site.context.objects.list("images") if said[0] in info.key]
    site.context.objects.delete(gone)
    app = opened(run_page)
    assert "Picture 1 cannot be shown." in texts(app)
    button(app, "several-tick").click().run()
    button(app, "several-approve").click().run()
    assert set(decisions(site)) == set(said[1:])


def test_at_most_so_many_are_offered_the_oldest_first(site):
    said = [site.say(20 + level, "CXR", who="eve", seed=level) for level in range(MAX_PICTURES + 2)]
    items = offered(site.context, queue(site.context), who="ada")
    assert [item.image_sha256 for item in items] == said[:MAX_PICTURES]
    assert claim(items[0]).startswith("Chest X-ray")


def test_ones_own_word_is_not_offered_where_people_sign_in(site):
    own, other = site.say(50, "CXR", who="ada"), site.say(120, "CXR", who="eve")
    login = {"oidc_issuer": "https://login.clinic.example"}
    context = replace(site.context, settings=site.context.settings.model_copy(update=login))
    assert [item.image_sha256 for item in offered(context, queue(context), who="ada")] == [other]
    assert own in [
        item.image_sha256 for item in offered(site.context, queue(site.context), who="ada")
    ]


def test_the_picture_in_question_has_its_nearest_labelled_ones(site, run_page):
    site.say(50, "Hand", who="eve")
    app = run_page("review")
    assert "Most alike among the labelled pictures" in texts(app)
    alts = [image.alt for element in app.get("image") for image in element.proto.imgs]
    assert len([alt for alt in alts if alt.startswith("Labelled picture of class ")]) == 5


def test_the_queue_goes_on_without_a_model(site, run_page):
    site.say(50, "Hand", who="eve")
    site.registry.aliases.clear()
    site.backend.champion.refresh()
    app = run_page("review")
    assert not app.exception
    assert "Is this right?" in texts(app)
