"""The Models page: what it shows, its levers, and its bad days."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import SecretStr
from streamlit.testing.v1 import AppTest
from tests.app.apptest import button, texts
from tests.app.models import OTHER_LEVELS, brightness_model
from tests.app.reports import report
from tests.file_server import FileServer
from tests.listening import Webhook

from medloop.app.kit.access import User
from medloop.app.models import gate_words, model_actions
from medloop.app.process.backend import install
from medloop.core.gate import words
from medloop.core.gate.report import ChangedAnswer, RecentPictures

ADMIN = User("ada", "admin", local=True)


@pytest.fixture
def reported(site):
    """A second version with a gate report that said no."""
    site.add_rejected_version()
    return site


@pytest.fixture
def run_tab(run_page):
    """The page on one of its tabs."""

    def run(name: str):
        app = run_page("models")
        app.session_state["models-tab"] = name
        return app.run()

    return run


def test_roles_and_versions_stand_in_the_first_tab_with_the_reason_of_a_no(reported, run_page):
    app = run_page("models")
    page = texts(app)
    assert "Champion Version 1" in page
    assert "Challenger none" in page
    table = app.dataframe[0].value
    assert table["Version"].tolist() == ["2", "1"]
    assert table["Tests"].tolist() == ["failed", ""]
    assert table["Right on the test pictures"].tolist() == ["95.00 %", ""]
    assert table["Why not"][0].startswith(
        "All test pictures: 95.0 % right, before 97.0 % of 200 pictures."
    )


def test_the_report_shows_what_failed_and_keeps_every_check_in_a_box(reported, run_tab):
    app = run_tab("Test report")
    page = texts(app)
    assert "The gate said no to version 2, against version 1: 1 of 2 checks failed." in page
    assert "It may have lost 4.0 points; for this many pictures 1.0 are allowed." in page
    (box,) = [box for box in app.expander if box.label == "2 checks: 1 failed"]
    assert not box.proto.expanded
    assert ":green[:material/check:] The model file opens and answers here." in [
        m.value for m in box.markdown
    ]
    assert not app.exception


def test_pictures_on_which_two_versions_disagree_show_both_answers(reported, run_tab):
    app = run_tab("Test report")
    captions = [caption for images in app.get("image") for caption in images.captions]
    assert captions
    assert all(caption.startswith("is ") and " → " in caption for caption in captions)
    assert "Right before, wrong now" in texts(app)


def test_recent_real_pictures_with_another_answer_are_shown(reported, run_tab):
    sha256 = reported.say(50, "CXR")
    changed = (ChangedAnswer(sha256, "CXR", "ChestCT"), ChangedAnswer("0" * 64, "CXR", "unknown"))
    body = replace(report(passed=False), recent=RecentPictures(30, 7, changed))
    reported.registry.files["2", "gate/report.json"] = body.to_json()
    app = run_tab("Test report")
    assert "**2** of 7 pictures that people corrected or confirmed in the 30 days" in texts(app)
    captions = [caption for images in app.get("image") for caption in images.captions]
    assert "Chest X-ray → Chest CT" in captions
    assert not [caption for caption in captions if "→ unknown" in caption]  # it is not kept


def test_versions_that_answer_alike_say_so(reported, run_tab):
    reported.registry.files["2", "model.onnx"] = brightness_model()
    assert "Both versions give the same answer to every test picture." in texts(
        run_tab("Test report")
    )


def test_a_report_whose_models_are_gone_still_shows_its_checks(reported, run_tab):
    del reported.registry.files["2", "model.onnx"]
    app = run_tab("Test report")
    assert "The versions cannot be compared." in texts(app)
    assert "The gate said no to version 2" in texts(app)


def test_a_report_that_is_gone_is_told(reported, run_tab):
    del reported.registry.files["2", "gate/report.json"]
    assert "This version's report is not there any more." in texts(run_tab("Test report"))


def test_without_a_judged_version_there_is_no_report(site, run_tab):
    assert "No version has been tested against a champion yet." in texts(run_tab("Test report"))


def test_the_history_says_who_moved_the_champion_and_why(site, run_tab):
    site.registry.add(brightness_model(OTHER_LEVELS))
    assert "No version was ever promoted." in texts(run_tab("History"))
    model_actions.promote_by_hand(
        site.backend, user=ADMIN, version="2", reason="better on our scanner"
    )
    assert "Version 2 was promoted instead of version 1, by ada: better on our scanner" in texts(
        run_tab("History")
    )


def test_the_history_says_when_the_store_is_away(site, run_tab):
    site.store.away = True
    app = run_tab("History")
    assert "The history cannot be read." in texts(app)
    assert not app.exception


def test_the_report_stands_without_the_history(reported, run_tab):
    reported.store.away = True
    app = run_tab("Test report")
    assert "The gate said no to version 2" in texts(app)
    assert not app.exception


def test_without_a_model_the_page_says_what_to_expect_and_how_to_start_it(empty_site, run_page):
    page = texts(run_page("models"))
    assert "There is no model yet. The first one is trained on the server" in page
    assert "`medloop bootstrap`" in page


def test_a_registry_that_is_away_is_told(reported, run_page):
    reported.registry.away = True
    app = run_page("models")
    assert "The model registry does not answer. MLflow at" in texts(app)
    assert not app.exception


def test_a_registry_that_goes_away_midway_leaves_the_table(reported, run_page, monkeypatch):
    known = reported.registry.versions()
    reported.registry.away = True
    monkeypatch.setattr(reported.registry, "versions", lambda: known)
    app = run_page("models")
    assert app.dataframe[0].value["Version"].tolist() == ["2", "1"]
    assert "The test reports cannot be read just now." in texts(app)
    assert not app.exception


def _dialog(name: str) -> None:
    from medloop.app.models import model_dialogs
    from medloop.app.models.models_view import version_row
    from medloop.app.process.backend import backend

    back = backend()
    rows = [version_row(version) for version in back.context.registry.versions()]
    arguments = [rows] if name in ("promote", "retrain") else []
    getattr(model_dialogs, f"{name}_dialog")(back, *arguments)


def opened(name: str) -> AppTest:
    """One of the dialogs, open in every run: an AppTest runs the whole script anew where a browser
    runs the dialog.
    """
    return AppTest.from_function(_dialog, args=(name,), default_timeout=30).run()


def press(app: AppTest, key: str, **typed: str) -> AppTest:
    for name, text in typed.items():
        app.text_input(key=name.replace("_", "-")).input(text)
    return button(app, key).click().run()


def test_rolling_back_names_both_versions_and_asks_for_a_reason(site):
    site.registry.add(brightness_model(OTHER_LEVELS))
    model_actions.promote_by_hand(
        site.backend, user=ADMIN, version="2", reason="better on our scanner"
    )
    app = opened("roll_back")
    assert "**Version 1** answers again instead of version 2" in texts(app)
    assert button(app, "roll-back-sure").label == "Roll back to version 1"
    assert "Please give a reason" in texts(press(app, "roll-back-sure"))
    assert site.registry.aliases["champion"] == "2"
    press(app, "roll-back-sure", roll_back_reason="worse on hands")
    assert site.registry.aliases["champion"] == "1"
    assert app.session_state["done"] == "Version 1 answers again."


def test_what_was_done_is_said_on_the_page(site, run_page):
    app = run_page("models")
    app.session_state["done"] = "Version 1 answers again."
    assert "Version 1 answers again." in texts(app.run())
    assert "Version 1 answers again." not in texts(app.run())


def test_without_an_earlier_champion_there_is_nothing_to_roll_back_to(site):
    assert "There is no earlier champion to go back to." in texts(opened("roll_back"))


def test_rolling_back_while_the_store_is_away_is_told(site):
    site.store.away = True
    app = opened("roll_back")
    assert "The history cannot be read." in texts(app)
    assert not app.exception


def test_promoting_by_hand_asks_for_a_reason_and_says_how_the_tests_came_out(reported):
    app = opened("promote")
    assert app.selectbox(key="promote-version").options == ["2 (tests failed)"]
    assert "Please give a reason" in texts(press(app, "promote-sure"))
    assert reported.registry.aliases["champion"] == "1"
    press(app, "promote-sure", promote_reason="better on our scanner")
    assert reported.registry.aliases["champion"] == "2"
    assert app.session_state["done"] == "Version 2 answers from now on."


def test_the_only_version_cannot_be_promoted_over_itself(site):
    assert "There is no version besides the champion." in texts(opened("promote"))


def test_retraining_without_an_airflow_says_which_setting_is_missing(site):
    app = press(opened("retrain"), "retrain-start")
    assert "No Airflow is set" in texts(app)
    assert not app.exception


def test_retraining_on_another_data_set_says_that_it_starts_from_nothing(site):
    site.registry.tags["1"]["base_id"] = "0123456789abcdef"
    page = texts(opened("retrain"))
    assert "the champion learned from 0123456789abcdef" in page
    assert "starts from nothing" in page


@pytest.mark.parametrize(
    ("lever", "says"), [("retrain", "Start"), ("roll-back", None), ("promote", None)]
)
def test_each_lever_opens_its_dialog(site, run_page, lever, says):
    app = run_page("models")
    button(app, lever).click().run()
    assert app.get("dialog")
    assert not app.exception
    assert says is None or says in [b.label for b in app.button]


def test_a_run_that_cannot_be_watched_says_that_it_goes_on(site):
    with Webhook() as gone:
        pass
    away = {
        "airflow_url": gone.url,
        "airflow_username": "ada",
        "airflow_password": SecretStr("secret-word"),
    }
    settings = site.context.settings.model_copy(update=away)
    install(replace(site.backend, context=replace(site.context, settings=settings)))
    app = AppTest.from_function(_watched, args=("manual__1",), default_timeout=30).run()
    assert "Airflow does not answer; a training goes on all the same." in texts(app)
    assert "secret-word" not in texts(app)
    assert not app.exception


@pytest.mark.parametrize(
    ("run_id", "answer", "says"),
    [
        ("manual__never", {"content": b"{}", "statuses": [404]}, "knows no such training"),
        ("..", {"content": b'{"dag_id": "medloop_weekly_retrain"}'}, "knows no such training"),
        ("~", {"content": b"<html>"}, "Airflow does not answer"),
        ("<b>a</b>\n# b", {"content": b"[1]", "statuses": [404]}, "knows no such training"),
    ],
)
def test_an_unknown_run_in_the_address_is_a_sentence(site, run_id, answer, says):
    with FileServer(**answer) as airflow:
        there = {
            "airflow_url": airflow.url.removesuffix("/set.zip"),
            "airflow_password": SecretStr("token"),
        }
        settings = site.context.settings.model_copy(update=there)
        install(replace(site.backend, context=replace(site.context, settings=settings)))
        app = AppTest.from_function(_watched, args=(run_id,), default_timeout=30).run()
    assert not app.exception
    assert says in texts(app)


def _watched(run_id: str) -> None:
    from medloop.app.models.model_dialogs import training_run
    from medloop.app.process.backend import backend

    training_run(backend(), run_id)


@pytest.mark.parametrize("tab", ["Versions", "Test report"])
def test_the_page_is_built_alike_whatever_the_gates_words_are(reported, run_tab, monkeypatch, tab):
    def structure() -> list[tuple[str, int]]:
        app = run_tab(tab)
        assert not app.exception
        kinds = ("markdown", "expander", "success", "warning", "subheader", "arrow_vega_lite_chart")
        return [(kind, len(app.get(kind))) for kind in kinds]

    before = structure()
    for name in ("_sentence", "about"):
        monkeypatch.setattr(gate_words, name, lambda check: f"class and new: {check.passed}")
    monkeypatch.setattr(words, "found", lambda check: "against the champion: ")
    assert structure() == before
