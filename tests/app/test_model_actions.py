"""The levers of the Models page."""

from __future__ import annotations

import pytest
from tests.app.models import OTHER_LEVELS, brightness_model

from medloop.app.kit.access import AccessError, User
from medloop.app.models import model_actions
from medloop.errors import SettingsError
from medloop.settings import Settings
from medloop.stores.airflow import DagRun

ADMIN, VIEWER = User("ada", "admin", local=True), User("bob", "viewer", local=False)


@pytest.fixture
def promoted(site):
    """A site whose second version was promoted by hand."""
    site.registry.add(brightness_model(OTHER_LEVELS))
    model_actions.promote_by_hand(
        site.backend, user=ADMIN, version="2", reason="better on our scanner"
    )
    return site


def test_promoting_by_hand_serves_at_once_and_is_on_record(promoted):
    assert promoted.backend.champion.current().version == "2"
    (move,) = promoted.context.ledger.entries()
    assert (move.by, move.reason, move.to_version) == ("ada", "better on our scanner", "2")


def test_rolling_back_brings_the_old_version_back_at_once(promoted):
    said = model_actions.roll_back(promoted.backend, user=ADMIN, reason="worse on hands")
    assert said == "Version 1 answers again."
    assert promoted.backend.champion.current().version == "1"


def test_the_way_back_names_both_versions(site, promoted):
    assert model_actions.way_back(promoted.backend) == ("2", "1")
    model_actions.roll_back(promoted.backend, user=ADMIN, reason="worse on hands", to="1")
    assert model_actions.way_back(promoted.backend) is None


def test_a_move_needs_a_reason(promoted):
    for act in (
        lambda: model_actions.roll_back(promoted.backend, user=ADMIN, reason=" "),
        lambda: model_actions.promote_by_hand(promoted.backend, user=ADMIN, version="1", reason=""),
    ):
        with pytest.raises(model_actions.ReasonError, match="Please give a reason"):
            act()
    assert promoted.backend.champion.current().version == "2"


def test_a_viewer_can_move_nothing_whatever_the_page_shows(site):
    for act in (
        lambda: model_actions.roll_back(site.backend, user=VIEWER, reason="r"),
        lambda: model_actions.promote_by_hand(site.backend, user=VIEWER, version="1", reason="r"),
        lambda: model_actions.start_training(site.backend, user=VIEWER, force=False),
    ):
        with pytest.raises(AccessError):
            act()
    assert site.context.ledger.entries() == []


def test_without_an_airflow_the_sentence_says_which_setting(site):
    with pytest.raises(SettingsError, match="MEDLOOP_AIRFLOW_URL"):
        model_actions.start_training(site.backend, user=ADMIN, force=False)


def run(state: str, **tasks: str | None) -> DagRun:
    return DagRun("manual__1", state, tasks)


def test_progress_counts_tasks_that_are_over():
    under_way = run("running", snapshot="success", train="running", evaluate=None, promote=None)
    assert model_actions.progress(under_way) == 0.2
    assert [row.word for row in model_actions.task_rows(under_way)] == [
        "done",
        "at work",
        "to come",
        "to come",
        "to come",
    ]
    assert model_actions.progress(run("failed", snapshot="failed")) == 1.0


class Answers:
    """Stands for Airflow's XCom."""

    def __init__(self, **values: str) -> None:
        self.values = values

    def result(self, run_id: str, task_id: str, *, key: str = "return_value") -> str | None:
        return self.values.get(f"{task_id}_{key}")


@pytest.mark.parametrize(
    ("found", "answers", "says"),
    [
        (
            run("success", promote="success"),
            Answers(train_return_value="8", promote_replaced="7"),
            "Version 8 passed its tests and answers now",
        ),
        (
            run("success", promote="success"),
            Answers(train_return_value="8", set_aside_return_value="9", promote_replaced="7"),
            "Version 9 passed its tests and answers now",
        ),
        (
            run("success", promote="success"),
            Answers(train_return_value="8"),
            "Nothing changed: version 8 answers already",
        ),
        (
            run("success", promote="skipped"),
            Answers(train_return_value="8", promote_reason="worse"),
            "but the old one stays: worse",
        ),
        (
            run("success", train="skipped"),
            Answers(snapshot_reason="nothing new"),
            "Nothing was trained: nothing new",
        ),
        (run("failed", train="failed"), Answers(), "failed at: Train"),
    ],
)
def test_the_outcome_is_a_sentence(found, answers, says):
    assert says in model_actions.outcome(answers, found)


def test_links_lead_to_the_run_and_the_version(tmp_path):
    settings = Settings(
        home=tmp_path, airflow_url="http://af:8080/", mlflow_tracking_uri="http://ml:5000"
    )
    assert model_actions.airflow_link(settings, "manual__2026+00") == (
        "http://af:8080/dags/medloop_weekly_retrain/runs/manual__2026%2B00"
    )
    assert (
        model_actions.mlflow_link(settings, "7")
        == "http://ml:5000/#/models/medical-mnist/versions/7"
    )
    assert (
        model_actions.mlflow_link(
            Settings(home=tmp_path, mlflow_tracking_uri="sqlite:///x.db"), "7"
        )
        is None
    )
    assert model_actions.airflow_link(Settings(home=tmp_path), "x") is None
