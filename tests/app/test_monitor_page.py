"""The Monitor page: what it shows, and its bad days."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import SecretStr
from tests.app.apptest import texts
from tests.app.models import picture
from tests.listening import Webhook

from medloop.app.process.backend import install
from medloop.core.imaging.decode import decode, encode_png
from medloop.jobs.correct import correct
from medloop.stores.predictions import PredictionLine


@pytest.fixture
def seen(site):
    """Ten pictures a day for three days, in the prediction log."""
    now = site.context.now()
    for day in range(3):
        at = (now - timedelta(days=day)).isoformat()
        kinds = ("confident", "confident", "unsure", "unknown")
        lines = [
            PredictionLine(
                at, f"{day}{place}" * 32, "CXR", 0.9, kinds[place % 4], 0.1, "1", "page", 0.2
            )
            for place in range(10)
        ]
        note(site, lines)
    return site


def note(site, lines: list[PredictionLine]) -> None:
    site.context.predictions.add(lines)
    site.context.predictions.flush()


def test_all_is_well_and_people_have_answered(site, run_page):
    site.say(50, "CXR")
    site.say(50, "Hand", seed=1)
    page = texts(run_page("monitor"))
    assert "No alarm." in page
    assert "Everything is stored." in page
    assert "Version 1 answers." in page
    assert "**Store (S3)**: answers in " in page
    assert "**Model registry (MLflow)**: answers in " in page
    assert "2 answers, 1 of them (50 %) confirmed" in page


def test_nothing_has_happened_yet(site, run_page):
    page = texts(run_page("monitor"))
    assert "No pictures yet" in page
    assert "Nobody has confirmed or corrected an answer yet." in page
    assert "No version was promoted lately" in page


def test_what_the_model_saw_is_told_with_its_drift(seen, run_page):
    app = run_page("monitor")
    page = texts(app)
    assert "30 pictures classified" in page
    assert "30 pictures so far: 50 are needed to tell." in page
    assert "How unlike: compared with the most similar labelled picture" in page
    assert not app.exception


def test_without_a_model_drift_cannot_be_told(empty_site, run_page):
    at = empty_site.context.now().isoformat()
    note(empty_site, [PredictionLine(at, "a" * 64, "CXR", 0.9, "confident", 0.1, "1", "page", 0.2)])
    app = run_page("monitor")
    assert "Drift cannot be told." in texts(app)
    assert not app.exception


def test_a_version_that_has_classified_nothing_has_no_drift_yet(site, run_page):
    note(
        site,
        [
            PredictionLine(
                site.context.now().isoformat(),
                "a" * 64,
                "CXR",
                0.9,
                "confident",
                0.1,
                "0",
                "page",
                0.2,
            )
        ],
    )
    app = run_page("monitor")
    assert "Drift shows once version 1 has classified pictures." in texts(app)
    assert not app.exception


def test_a_store_that_is_away_is_told_once_and_asked_no_more(seen, run_page):
    seen.say(50, "CXR")
    seen.store.away = True
    app = run_page("monitor")
    page = texts(app)
    assert re.search(r"red-badge.* \*\*Store \(S3\)\*\*: S3 at .* does not answer", page)
    assert (
        "What the model saw and what people answered cannot be read: the store does not answer."
        in page
    )
    assert not app.subheader[1:]
    assert not app.exception


def test_a_registry_that_is_away_leaves_what_was_seen(seen, run_page):
    seen.registry.away = True
    app = run_page("monitor")
    page = texts(app)
    assert re.search(
        r"red-badge.* \*\*Model registry \(MLflow\)\*\*: MLflow at .* does not answer", page
    )
    assert "30 pictures classified" in page
    assert "The newest promotion cannot be judged." in page
    assert not app.exception


def test_an_airflow_that_is_away_is_told_and_one_that_is_not_set_is_no_fault(site, run_page):
    assert "**Training (Airflow)**: No Airflow is set" in texts(run_page("monitor"))
    with Webhook() as gone:
        pass
    settings = site.context.settings.model_copy(
        update={
            "airflow_url": gone.url,
            "airflow_username": "ada",
            "airflow_password": SecretStr("secret-word"),
            "home": site.context.settings.home / "again",
        }
    )
    install(replace(site.backend, context=replace(site.context, settings=settings)))
    page = texts(run_page("monitor"))
    assert re.search(
        r"red-badge.* \*\*Training \(Airflow\)\*\*: Airflow at .* does not answer", page
    )
    assert "secret-word" not in page


def test_what_waits_on_this_machine_is_told(site, run_page):
    site.store.away = True
    image = decode(encode_png(picture(50)))
    correct(
        site.context,
        image=image,
        given_label="Hand",
        prediction=None,
        model_version=None,
        who="ada",
    )
    assert "1 waits to be stored" in texts(run_page("monitor"))
