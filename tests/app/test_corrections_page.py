"""My corrections: each one's way, what can be taken back, and the days when a store is away."""

from __future__ import annotations

import gzip
import json

from tests.app.apptest import button, has_button, texts
from tests.app.models import picture

from medloop.app.kit.escape_markdown import plain
from medloop.core.imaging.decode import decode, encode_png
from medloop.jobs.correct import correct
from medloop.jobs.erase import erase
from medloop.jobs.review import queue, review
from medloop.jobs.snapshot import snapshot


def say_without_a_model(site, level: int, label: str) -> str:
    image = decode(encode_png(picture(level)))
    receipt = correct(
        site.context, image=image, given_label=label, prediction=None, model_version=None, who="ada"
    )
    site.context.sender.settle(receipt.event_id, 10)
    return image.sha256


def decide_by_review(site, verdict: str, label: str | None = None) -> None:
    review(
        site.context,
        items=queue(site.context),
        verdict=verdict,
        who="rev",
        label=label,
        why="looked",
    )  # type: ignore[arg-type]
    site.context.sender.send_once()


def record_use(site, sha256: str, label: str, use: str) -> None:
    """As the training of version 1 would have recorded it."""
    site.registry.files["1", "corrections.json.gz"] = gzip.compress(
        json.dumps([[sha256, label, use]]).encode()
    )


def test_a_conflict_is_in_review_before_any_snapshot(site, run_page):
    site.say(50, "Hand")
    site.say(50, "ChestCT", who="eve")
    page = texts(run_page("corrections"))
    assert "In review: people disagree: Chest CT, Hand" in page
    assert "Waits for the next training" not in page


def test_one_word_against_a_confident_answer_waits_for_a_second(site, run_page):
    site.say(50, "Hand", by_reviewer=False)
    reason = "version 1 was confident of Chest X-ray: a second person or a reviewer has to agree"
    assert f"In review: {reason}" in texts(run_page("corrections"))
    site.say(50, "Hand", who="eve", by_reviewer=False)
    assert "Waits for the next training" in texts(run_page("corrections"))


def test_who_is_a_reviewer_too_is_told_that_their_word_is_enough(site, run_page):
    site.say(50, "Hand")
    page = texts(run_page("corrections"))
    assert "you are a reviewer, too, so your word is enough" in page
    assert "Waits for the next training" in page


def test_what_a_reviewer_decided_is_told_and_followed_to_the_version_that_learned_it(
    site, run_page
):
    sha256 = site.say(50, "Hand")
    site.say(50, "CXR", who="eve")
    decide_by_review(site, "relabel", "ChestCT")
    record_use(site, sha256, "ChestCT", "trained")
    page = texts(run_page("corrections"))
    assert "A reviewer says: Chest CT" in page
    assert "Waits for the next training" in page
    taken = snapshot(site.context)
    page = texts(run_page("corrections"))
    assert "A reviewer says: Chest CT" in page
    assert f"In snapshot {taken.snapshot_id[:8]}" in page
    assert "Version 1 learned from it" in page
    assert "Version 1 still says Chest X-ray" in page


def test_a_reviewer_who_agrees_is_not_told_as_another_opinion(site, run_page):
    site.say(50, "Hand")
    site.say(50, "CXR", who="eve")
    decide_by_review(site, "relabel", "Hand")
    assert "A reviewer says" not in texts(run_page("corrections"))


def test_what_a_reviewer_left_out_says_so_at_once(site, run_page):
    site.say(50, "Hand")
    site.say(50, "CXR", who="eve")
    decide_by_review(site, "reject")
    assert "Not used: looked" in texts(run_page("corrections"))


def test_an_erased_picture_ends_its_way(site, run_page):
    sha256 = site.say(50, "Hand")
    erase(site.context, image_sha256=sha256, who="admin")
    assert "Not used: the picture was erased" in texts(run_page("corrections"))


def test_snapshots_are_read_without_a_model(empty_site, run_page):
    say_without_a_model(empty_site, 50, "Hand")
    taken = snapshot(empty_site.context)
    app = run_page("corrections")
    page = texts(app)
    assert "No model had answered." in page
    assert f"In snapshot {taken.snapshot_id[:8]}" in page
    assert "Waits for a version that learns it" in page
    assert not app.warning
    assert not has_button(app, "withdraw-")


def test_the_registry_being_away_hides_nothing_but_what_it_knows(site, run_page):
    site.say(50, "Hand")
    taken = snapshot(site.context)
    site.registry.away = True
    app = run_page("corrections")
    (warning,) = app.warning
    assert warning.value == plain(
        "Not everything is known at the moment. MLflow at http://127.0.0.1:1 does not answer"
    )
    assert f"In snapshot {taken.snapshot_id[:8]}" in texts(app)


def test_while_the_store_is_away_nothing_is_claimed_and_nothing_stored_is_taken_back(
    site, run_page
):
    sha256 = site.say(50, "Hand")
    site.store.away = True
    app = run_page("corrections")
    assert "What came next is not known at the moment" in texts(app)
    away = "Not everything is known at the moment. S3 at http://127.0.0.1:1 does not answer"
    assert plain(away) in [warning.value for warning in app.warning]
    assert not has_button(app, "withdraw-")
    assert sha256 not in texts(app)


def test_a_late_click_is_refused_on_the_server(site, run_page):
    site.say(50, "Hand")
    app = run_page("corrections")
    snapshot(site.context)
    button(app, "withdraw-").click().run()
    assert "cannot be taken back any more" in app.error[0].value
    assert "Taken back" not in texts(app)
    assert len(site.context.outbox.history("ada")) == 1


def test_what_waits_for_the_store_can_be_taken_back_while_it_is_away(site, run_page):
    site.store.away = True
    say_without_a_model(site, 50, "Hand")
    app = run_page("corrections")
    assert "Waits for the store" in texts(app)
    button(app, "withdraw-").click().run()
    assert not app.error
    assert "Taken back" in texts(app)
