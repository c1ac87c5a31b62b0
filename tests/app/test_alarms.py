"""What somebody should look at now."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tests.app.models import picture

from medloop.app.monitor import alarms
from medloop.app.process.backend import Backend
from medloop.core.corrections.events import Promotion
from medloop.core.imaging.decode import decode, encode_png
from medloop.core.monitoring.drift import Drift
from medloop.jobs.correct import correct

QUIET, LOUD = Drift(2, 100, 0.01, 0.07), Drift(50, 100, 0.4, 0.6)


def test_a_correction_that_waits_for_long_is_an_alarm(site):
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
    assert alarms.stuck(site.backend) == ""
    later = site.context.now() + timedelta(minutes=20)
    backend = Backend(
        replace(site.context, now=lambda: later), site.backend.champion, site.backend.recorder
    )
    assert alarms.stuck(backend) == "1 correction not stored yet, the oldest from 20 minutes ago."


def test_each_kind_of_drift_has_its_sentence():
    assert alarms.drifted(QUIET, QUIET) == []
    assert len(alarms.drifted(LOUD, QUIET)) == 1
    assert len(alarms.drifted(LOUD, LOUD)) == 2


def promote(site) -> None:
    version = site.add_rejected_version()
    event_id, at = site.context.new_event()
    move = Promotion(
        id=event_id,
        at=at,
        model=site.registry.model,
        action="promote",
        from_version="1",
        to_version=version,
        by="ada",
        reason="a test",
        snapshot_id=None,
        gate_report=None,
    )
    for level in range(40):
        site.say(50, "CXR", seed=level)
    site.context.ledger.append(move)
    site.promote(version)


def test_a_promotion_that_people_correct_more_is_an_alarm_and_is_left_alone(site):
    promote(site)
    assert not alarms.promotion(site.backend).alarm
    for level in range(40, 70):
        site.say(50, "CXR", seed=level)  # version 2 says something else
    found = alarms.promotion(site.backend)
    assert found.alarm
    assert found.sentence.startswith(
        "Version 2 does worse than version 1 did: corrected: 30 of 30 images"
    )
    assert site.registry.aliases["champion"] == "2"


def test_a_registry_that_is_away_is_no_alarm(site):
    site.registry.away = True
    found = alarms.promotion(site.backend)
    assert not found.alarm
    assert "cannot be judged" in found.sentence
