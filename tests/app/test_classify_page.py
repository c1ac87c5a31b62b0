"""The Classify page in all its states."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from tests.app.apptest import button, give, has_button, texts
from tests.app.models import OTHER_LEVELS, brightness_model, picture
from tests.app.test_workbench import source

from medloop.app.classify import same_page
from medloop.app.kit import actions
from medloop.app.kit.workbench import Workbench
from medloop.app.process.backend import install
from medloop.core.imaging.decode import encode_png
from medloop.jobs.snapshot import snapshot


def upload(app, *levels, **files):
    """Upload pictures by grey level, and raw files by name."""
    data = [
        (f"{level}-{place}.png", encode_png(picture(level, seed=place)), "image/png")
        for place, level in enumerate(levels)
    ]
    data += [
        (name.replace("__", "."), content, "application/octet-stream")
        for name, content in files.items()
    ]
    return give(app, data)


def bench_of(app) -> Workbench:
    return app.session_state["workbench"]


@pytest.fixture
def app(site, run_page):
    return run_page("classify")


def test_an_empty_page_says_what_it_wants_and_offers_examples(app):
    assert not app.exception
    assert "A picture is stored only if" in texts(app)
    assert has_button(app, "examples")


def test_a_sure_answer_names_class_verdict_and_version(app):
    upload(app, 50)
    assert "Chest X-ray" in texts(app)
    assert "The model is sure" in texts(app)
    assert "model version 1" in texts(app)


def test_an_unsure_answer_names_the_runner_up(app):
    upload(app, 85)
    assert "Probably Chest CT" in texts(app)
    assert "perhaps Chest X-ray" in texts(app)


def test_an_unknown_picture_is_told_as_such(app):
    upload(app, 255)
    assert "None of the known classes?" in texts(app)


def test_what_needs_a_person_is_looked_at_first(app):
    upload(app, 50, 255, 85)
    assert "3 pictures" in texts(app)
    for count in ("1 unknown", "1 unsure", "1 confident", "0 answered"):
        assert count in texts(app)
    assert "255-1.png" in texts(app)


def test_a_bad_file_gets_a_sentence_beside_the_good_ones(app):
    upload(app, 50, notes__txt=b"hello")
    assert any("notes.txt" in warning.value for warning in app.warning)
    assert "Chest X-ray" in texts(app)
    assert not app.exception


def test_an_answer_says_stored_when_it_is_in_the_store(app, site):
    upload(app, 50)
    button(app, "right-").click().run()
    assert "Stored: 50-0.png is Chest X-ray." in texts(app)
    keys = [info.key for info in site.context.objects.list("corrections")]
    assert len(keys) == 1


def test_an_answer_is_only_saved_here_while_the_store_is_away(app, site):
    site.store.away = True
    upload(app, 50)
    button(app, "class-Hand-").click().run()
    assert "Saved here: 50-0.png is Hand." in texts(app)
    assert "Stored" not in texts(app)
    site.store.away = False
    site.context.sender.send_once()
    app.run()
    assert "Stored: 50-0.png is Hand." in texts(app)


def test_the_same_click_twice_changes_nothing(app, site):
    upload(app, 50)
    for _ in range(3):
        button(app, "class-Hand-").click().run()
    assert len(list(site.context.objects.list("corrections"))) == 1


def test_none_of_these_is_an_answer(app, site):
    upload(app, 255)
    button(app, "none-").click().run()
    (entry,) = site.context.outbox.history("ada", 10)
    assert entry.event.given_label is None
    assert entry.event.verdict == "unknown"


def test_an_answer_leads_to_the_next_open_picture(app):
    upload(app, 255, 85)
    button(app, "none-").click().run()
    assert "255-0.png is None of these." in texts(app)
    assert "Probably Chest CT" in texts(app)


def test_the_tail_of_a_double_click_does_not_answer_the_next_picture(app, site):
    upload(app, 255, 254)
    button(app, "none-").click().run()
    button(app, "none-").click().run()  # at once, on the next picture
    assert len(site.context.outbox.history("ada", 10)) == 1
    time.sleep(0.5)
    button(app, "none-").click().run()
    assert len(site.context.outbox.history("ada", 10)) == 2


def test_all_confident_ones_are_confirmed_at_once(app, site):
    upload(app, 50, 120, 200, 85)
    bench_of(app).choose(bench_of(app).open_with("confident"))
    app.run()
    assert "3 chosen" in texts(app)
    assert "The model says: 1 Chest X-ray, 1 Chest CT, 1 Hand." in texts(app)
    button(app, "right-chosen").click().run()
    assert "3 pictures confirmed." in texts(app)
    said = {entry.event.given_label for entry in site.context.outbox.history("ada", 10)}
    assert said == {"CXR", "ChestCT", "Hand"}
    assert "3 answered" in texts(app)


def test_undo_takes_the_newest_answer_back(app, site):
    upload(app, 50)
    button(app, "class-Hand-").click().run()
    button(app, "undo").click().run()
    newest = site.context.outbox.history("ada", 1)[0].event
    assert newest.action == "withdraw"
    assert not bench_of(app).answers


def test_one_undo_takes_back_all_that_was_answered_at_once(app, site):
    upload(app, *range(50, 58))
    bench_of(app).choose(bench_of(app).order)
    app.run()
    button(app, "class-Hand-chosen").click().run()
    assert "8 pictures answered as Hand." in texts(app)
    assert {e.event.given_label for e in site.context.outbox.history("ada", 10)} == {"Hand"}
    assert button(app, "undo").label == "Undo all 8"
    button(app, "undo").click().run()
    newest = site.context.outbox.history("ada", 8)
    assert [entry.event.action for entry in newest] == ["withdraw"] * 8
    assert not bench_of(app).answers


def test_a_new_version_answers_what_is_on_the_page_and_says_so(app, site):
    upload(app, 50)
    version = site.registry.add(brightness_model(OTHER_LEVELS))
    site.promote(version)
    app.run()
    assert f"Version {version} answers now." in texts(app)
    assert "Hand" in texts(app)
    assert f"model version {version}" in texts(app)


def test_the_page_goes_on_while_the_registry_is_away(app, site):
    site.registry.away = True
    site.backend.champion.refresh()
    upload(app, 50)
    assert "Chest X-ray" in texts(app)
    assert not app.exception


def test_without_a_model_the_page_says_so(empty_site, run_page):
    app = run_page("classify")
    assert "There is no model yet" in texts(app)
    assert not app.exception


def test_an_outbox_that_cannot_be_written_is_told_and_nothing_counts_as_saved(app, site):
    (site.backend.settings.home / "outbox.db").mkdir()  # where the file should be
    upload(app, 50)
    button(app, "right-").click().run()
    assert app.error
    assert not bench_of(app).answers


def test_examples_can_be_tried(app):
    button(app, "examples").click().run()
    assert "9 pictures" in texts(app) or "6 pictures" in texts(app)
    assert "Written page.png" in texts(app) or has_button(app, "right-")


def test_two_sessions_share_no_picture(site, run_page):
    first, second = run_page("classify"), run_page("classify")
    upload(first, 50)
    second.run()
    assert "50-0.png" in texts(first)
    assert "50-0.png" not in texts(second)


def test_all_files_come_out_however_often_the_page_shows_what_there_is(monkeypatch, site, run_page):
    monkeypatch.setattr(actions, "SHOWN_EVERY_S", 0.0)
    app = run_page("classify")
    upload(app, *range(20, 20 + 2 * actions.BATCH + 3))
    assert f"{2 * actions.BATCH + 3} pictures" in texts(app)
    assert not has_button(app, "stop")


def test_a_long_batch_is_handed_over_in_parts(monkeypatch, site):
    monkeypatch.setattr(actions, "SHOWN_EVERY_S", 0.0)
    bench, files = Workbench(), [source(str(n), 50, seed=n) for n in range(actions.BATCH + 3)]
    served = site.backend.champion.current()
    assert list(actions.classify(site.backend, bench, bench.sync(files), served)) == [3]
    assert list(actions.classify(site.backend, bench, bench.sync(files), served)) == [0]
    assert len(bench.pictures) == len(files)


def test_a_folder_is_classified_without_what_the_system_left_in_it(app):
    data = [
        (f"ward/{name}", encode_png(picture(50)), "image/png")
        for name in ("a.png", ".DS_Store", "sub/b.png")
    ]
    give(app, data, key="folder")
    assert "2 pictures" in texts(app)
    assert "ward/a.png" in texts(app)


def test_examples_that_cannot_be_had_are_told(site, run_page):
    settings = site.context.settings.model_copy(update={"base_dataset": "0123456789abcdef"})
    install(replace(site.backend, context=replace(site.context, settings=settings)))
    app = run_page("classify")
    button(app, "examples").click().run()
    assert "0123456789abcdef" in app.error[0].value
    assert has_button(app, "examples")


def test_pictures_that_a_restart_took_are_told_until_new_ones_come(app):
    assert "restarted" not in texts(app)
    app.session_state[same_page.GONE] = True
    app.run()
    assert "The pictures of this page are gone" in app.warning[0].value
    assert "Your answers are kept" in app.warning[0].value
    upload(app, 50)
    button(app, "remove-all").click().run()
    assert has_button(app, "examples")
    assert "restarted" not in texts(app)


def test_undoing_what_a_snapshot_holds_is_refused_and_the_answer_stays(app, site):
    upload(app, 50)
    button(app, "class-Hand-").click().run()
    snapshot(site.context)
    button(app, "undo").click().run()
    assert "cannot be taken back any more" in app.error[0].value
    assert len(bench_of(app).answers) == 1
