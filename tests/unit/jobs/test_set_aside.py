"""People whose corrections do harm are set aside, and the week goes on without them."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from tests.events import correction, review
from tests.models import model
from tests.unit.jobs.test_evaluate import Untrained

from medloop.core.data.splits import split
from medloop.core.gate.decision import Decision
from medloop.core.gate.report import GateReport
from medloop.core.imaging.decode import content_sha256
from medloop.jobs import set_aside as job
from medloop.jobs.set_aside import set_aside
from medloop.jobs.snapshot import accepted_labels, snapshot
from medloop.jobs.train import TrainResult

HONEST = ["ada", "bob", "cem", "dee"]


class Week(Untrained):
    """Four people give right labels; eve and mallory call 160 chest radiographs hands."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.given: dict[str, str] = {}  # who by image hash
        sample = self.context.datasets.get(None)
        train = split(sample.targets, sample.groups).train
        rng = np.random.default_rng(0)
        for i, row in enumerate(rng.permutation(train)[:80]):
            label = sample.labels[sample.targets[row]]
            self.give(np.rot90(sample.images[row]), label, HONEST[i % 4])
        cxr = rng.permutation(train[sample.targets[train] == sample.labels.index("CXR")])
        for i, row in enumerate(cxr[:160]):
            self.give(np.fliplr(sample.images[row]), "Hand", ["eve", "mallory"][i % 2])
        self.snapshot_id = snapshot(self.context).snapshot_id
        self.version = self.add(model(seed=1), snapshot_id=self.snapshot_id)
        self.registry.tags[self.version]["snapshot_id"] = self.snapshot_id

    def give(self, pixels: np.ndarray, label: str, who: str) -> None:
        pixels = np.ascontiguousarray(pixels)
        sha256 = content_sha256(pixels)
        self.given[sha256] = who
        self.store(correction(sha256, label, who=who, at=self.tick()), pixels)

    def report(self, *, passed: bool = False) -> GateReport:
        decision = Decision(passed, ())
        return GateReport(
            "key", self.version, "1", "1", self.snapshot_id, self.base_id, "", decision, {}
        )

    def set_aside(self, *, passed: bool = False) -> str | None:
        version = self.context.registry.get(self.version)
        return set_aside(self.context, version, self.report(passed=passed))

    def learned(self, snapshot_id: str) -> set[str]:
        """Whose corrections a snapshot accepts."""
        return {self.given[sha256] for sha256 in accepted_labels(self.context, snapshot_id)}


@pytest.fixture
def week(tmp_path: Path) -> Week:
    return Week(tmp_path)


def test_who_does_harm_is_named_and_waits_and_everybody_else_is_learned(
    week: Week, caplog: pytest.LogCaptureFixture
):
    assert week.learned(week.snapshot_id) == {*HONEST, "eve", "mallory"}
    with caplog.at_level(logging.WARNING):
        without = week.set_aside()
    assert without is not None
    assert week.learned(without) == set(HONEST)
    assert len(accepted_labels(week.context, without)) == 80
    (said,) = [record.getMessage() for record in caplog.records if "wait" in record.getMessage()]
    assert "160 corrections by eve, mallory wait for a reviewer" in said


def test_setting_aside_twice_gives_the_same_snapshot_and_no_second_flag(week: Week):
    first = week.set_aside()
    reviews = week.context.corrections.folders("reviews")
    keys = [info.key for info in week.objects.list("reviews")]
    assert week.set_aside() == first
    assert week.context.corrections.folders("reviews") == reviews
    assert [info.key for info in week.objects.list("reviews")] == keys


def test_the_next_weeks_snapshot_holds_the_flags_too(week: Week):
    week.set_aside()
    assert week.learned(snapshot(week.context).snapshot_id) == set(HONEST)


def test_where_the_gate_said_yes_nobody_is_named_for_a_little_harm_but_for_much(
    week: Week, monkeypatch: pytest.MonkeyPatch
):
    assert week.set_aside(passed=True) is None
    monkeypatch.setattr(job, "MUCH_WORSE", 0.05)
    without = week.set_aside(passed=True)
    assert without is not None
    assert week.learned(without) == set(HONEST)


def test_what_a_reviewer_approved_stays(week: Week):
    bad = [sha256 for sha256, who in week.given.items() if who in ("eve", "mallory")]
    for sha256 in bad:
        week.store(review(sha256, "approve", who="rita", at=week.tick()))
    week.snapshot_id = snapshot(week.context).snapshot_id
    week.registry.tags[week.version]["snapshot_id"] = week.snapshot_id
    assert week.set_aside() is None


def test_the_week_is_trained_and_judged_once_more_without_them(
    week: Week, monkeypatch: pytest.MonkeyPatch
):
    trained = []

    def train(context, *, snapshot_id: str, **_) -> TrainResult:
        trained.append(week.learned(snapshot_id))
        return TrainResult("3", "run-3", False, 1.0, "")

    judged = []
    monkeypatch.setattr(job, "train", train)
    monkeypatch.setattr(
        job, "evaluate", lambda context, *, version, **_: judged.append(version) or week.report()
    )
    assert job.without_harm(week.context, version=week.version) == "3"
    assert trained == [set(HONEST)]
    assert judged == [week.version, "3"]
