"""The loop from an empty registry to a rollback: real S3, real MLflow, real trainings that are
short.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tests.events import correction
from typer.testing import CliRunner

from medloop.cli import build_app
from medloop.core.data.splits import split
from medloop.core.gate.words import reasons
from medloop.core.imaging.decode import content_sha256, encode_png
from medloop.core.learn.recipe import TrainingConfig
from medloop.core.prediction.predictor import Predictor
from medloop.errors import NotFoundError, StaleError
from medloop.jobs.acceptance_sets import add as add_acceptance_set
from medloop.jobs.acceptance_sets import withdraw
from medloop.jobs.alias_moves import all_moves, moves
from medloop.jobs.audit import audit
from medloop.jobs.bootstrap import bootstrap
from medloop.jobs.context import Context
from medloop.jobs.evaluate import evaluate
from medloop.jobs.promote import PromotionError, promote
from medloop.jobs.promotion_watch import watch
from medloop.jobs.reproduce import reproduce
from medloop.jobs.retrain import plan, retrain
from medloop.jobs.rollback import rollback
from medloop.jobs.snapshot import snapshot
from medloop.jobs.train import run_training, train
from medloop.jobs.training_data import gather
from medloop.jobs.training_record import ENVIRONMENT_FILE, read_recipe, recorded_report
from medloop.settings import load_settings
from medloop.stores.lease import LeaseHeldError
from medloop.stores.registry import CHALLENGER, CHAMPION, REFERENCE
from medloop.stores.version_tags import VersionTags
from medloop.wiring import connect

pytestmark = [
    pytest.mark.services,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]  # the first test trains and imports

FIRST = replace(TrainingConfig.smoke(), steps=60)
# As good as the champion: next to no learning, and its running means and variances move by a single
# batch.
STILL = replace(TrainingConfig.smoke(), learning_rate=1e-7, steps=1)
WILD = replace(TrainingConfig.smoke(seed=3), learning_rate=0.5, steps=10)  # forgets what it knew


def still(number: int) -> TrainingConfig:
    """Another training that comes to the same model."""
    return replace(STILL, weight_decay=0.05 + number / 1000)


@pytest.fixture(scope="module")
def context(seaweedfs, mlflow_server, tmp_path_factory) -> Context:
    """A loop whose first champion learned from the bundled sample, briefly."""
    settings = load_settings(
        s3_endpoint_url=seaweedfs.endpoint,
        aws_access_key_id=seaweedfs.access_key,
        aws_secret_access_key=seaweedfs.secret_key,
        s3_bucket=seaweedfs.bucket,
        mlflow_tracking_uri=mlflow_server.uri,
        mlflow_tracking_username=mlflow_server.username,
        mlflow_tracking_password=mlflow_server.password,
        model_name="loop-test",
        home=tmp_path_factory.mktemp("home"),
        identity="plain",
        device="cpu",
    )
    made = connect(settings)
    assert bootstrap(made, config=FIRST) == "1"
    return made


@pytest.fixture(autouse=True)
def _first_champion_again(context: Context) -> Iterator[None]:
    yield
    if context.registry.version_of(CHAMPION) != "1":
        rollback(context, by="the test before", reason="so that tests can be read alone", to="1")


def correct(context: Context, pixels: np.ndarray, label: str | None, *, who: str = "ada") -> None:
    event = correction(content_sha256(pixels), label, who=who, at=context.now())
    context.corrections.put(event, encode_png(pixels), day=event.at[:10])


@pytest.fixture(scope="module")
def snapshot_id(context: Context) -> str:
    """Forty corrected images of a scanner that turns pictures and is brighter."""
    sample = context.datasets.get(None)
    chosen = np.linspace(0, len(sample.images) - 1, 40).astype(int)
    for i in chosen:
        turned = np.ascontiguousarray(np.rot90(255 - sample.images[i] // 2))
        correct(context, turned, sample.labels[sample.targets[i]])
    return snapshot(context).snapshot_id


def test_the_first_model_is_champion_and_reference_and_is_trained_once(context: Context):
    assert context.registry.version_of(CHAMPION) == context.registry.version_of(REFERENCE) == "1"
    assert bootstrap(context, config=FIRST) is None
    assert (context.registry.get("1").tags.accuracy or 0) > 0.5
    made = [
        (move.alias, move.action, move.from_version, move.to_version)
        for move in context.ledger.entries()
    ]
    assert made[:2] == [(REFERENCE, "bootstrap", None, "1"), (CHAMPION, "bootstrap", None, "1")]


def test_the_same_training_twice_is_one_version(context: Context, snapshot_id: str):
    first = train(context, snapshot_id=snapshot_id, config=STILL)
    again = train(context, snapshot_id=snapshot_id, config=STILL)
    assert not first.reused
    assert again.reused
    assert again.version == first.version


def test_a_training_holds_out_a_tenth_and_keeps_the_base_data(context: Context, snapshot_id: str):
    """The published system trained on the corrections alone, and tested on what it had
    trained on.
    """
    version = train(context, snapshot_id=snapshot_id, config=STILL).version
    audited = audit(context, version=version)
    uses = [row.use for row in audited.rows]
    assert len(uses) == 40
    assert uses.count("trained") >= 25
    assert "held out" in uses
    assert all(row.who == ("ada",) and row.event_ids for row in audited.rows)
    assert audited.recipe.base_id == context.datasets.get(None).id
    metrics = context.registry.metrics(context.registry.get(version).run_id)
    assert metrics["corrections/trained"] == uses.count("trained")


def test_a_snapshot_leaves_the_corrections_where_they_are(context: Context, snapshot_id: str):
    """The published system deleted corrections after training."""
    train(context, snapshot_id=snapshot_id, config=STILL)
    assert len(context.snapshots.load(snapshot_id).images) == 40
    assert (
        len([info for info in context.objects.list("corrections") if info.key.endswith(".json")])
        == 40
    )


def test_a_challenger_as_good_as_the_champion_goes_through_the_whole_loop_and_back(
    context: Context, snapshot_id: str
):
    version = train(context, snapshot_id=snapshot_id, config=STILL).version
    report = evaluate(context, version=version)
    assert report.passed, reasons(report)
    assert context.registry.version_of(CHALLENGER) == version
    assert context.registry.version_of(CHAMPION) == "1"  # an evaluation moves no champion

    outcome = promote(context, version=version, by="a test")
    assert (outcome.promoted, outcome.from_version, outcome.to_version) == (True, "1", version)
    assert promote(context, version=version, by="a test").promoted  # a second time changes nothing
    assert context.registry.version_of(CHAMPION) == version
    assert context.registry.version_of(CHALLENGER) is None
    made = moves(context)
    assert [(move.from_version, move.to_version) for move in made] == [(None, "1"), ("1", version)]
    assert made[-1].gate_report["decision"]["passed"] is True
    assert made[-1].snapshot_id == snapshot_id
    of_others = [
        (move.action, move.from_version, move.to_version)
        for move in all_moves(context)
        if move.alias == CHALLENGER
    ]
    assert of_others == [("judge", None, version), ("drop", version, "")]

    assert (
        evaluate(context, version=version).key == report.key
    )  # judged once: what it was promoted on stands
    assert (
        train(context, snapshot_id=snapshot_id, config=STILL).version == version
    )  # and trained once

    back = rollback(context, by="a test", reason="users complain")
    assert (back.from_version, back.to_version) == (version, "1")
    assert context.registry.version_of(CHAMPION) == "1"
    assert context.ledger.entries()[-1].action == "rollback"
    with pytest.raises(NotFoundError, match="no champion before version 1"):
        rollback(context, by="a test", reason="further")


def test_a_worse_challenger_is_recorded_with_its_reasons_and_not_promoted(
    context: Context, snapshot_id: str
):
    version = train(context, snapshot_id=snapshot_id, config=WILD).version
    report = evaluate(context, version=version)
    assert not report.passed
    outcome = promote(context, version=version, by="a test")
    assert not outcome.promoted
    assert outcome.reasons == reasons(report)
    assert context.registry.version_of(CHAMPION) == "1"
    found = context.registry.get(version)
    assert CHALLENGER in found.aliases
    assert found.tags.gate == "no"
    assert any("base test, against the champion" in why for why in found.tags.gate_reasons)
    with pytest.raises(PromotionError, match="needs a reason"):
        promote(context, version=version, by="a test", force=True)


def test_a_report_is_kept_with_the_run_and_in_s3(context: Context, snapshot_id: str, seaweedfs):
    version = context.registry.get(train(context, snapshot_id=snapshot_id, config=WILD).version)
    report = evaluate(context, version=version.version)
    assert recorded_report(context, version) == report
    stored = json.loads(
        context.objects.get(f"reports/loop-test/version={version.version}/{report.key}.json")
    )
    assert stored["decision"]["passed"] is False
    for plot in ("confusion.png", "reliability.png", "gate.png"):
        assert context.registry.attachment(version.run_id, f"plots/{plot}").startswith(b"\x89PNG")
    card = context.registry.attachment(version.run_id, "model_card.md").decode()
    place = f"reports/loop-test/version={version.version}/{report.key}"
    assert context.objects.get(f"{place}/model_card.md").decode() == card
    for name, kind in (
        ("plots/gate.png", "image/png"),
        ("model_card.md", "text/markdown; charset=utf-8"),
    ):
        head = seaweedfs.client().head_object(Bucket=seaweedfs.bucket, Key=f"{place}/{name}")
        assert head["ContentType"] == kind
    assert "The gate said no" in card
    assert snapshot_id in card
    metrics = context.registry.metrics(version.run_id)
    assert metrics["challenger/accuracy"] == report.scores["challenger"]["accuracy"]
    assert "challenger/recall/Hand" in metrics


def test_a_person_may_overrule_the_gate_with_a_reason_that_stands_in_the_ledger(
    context: Context, snapshot_id: str
):
    version = train(context, snapshot_id=snapshot_id, config=WILD).version
    evaluate(context, version=version)
    outcome = promote(context, version=version, by="grace", reason="a demonstration", force=True)
    assert outcome.promoted
    entry = moves(context)[-1]
    assert (entry.by, entry.reason) == ("grace", "a demonstration")
    assert entry.gate_report["decision"]["passed"] is False
    rollback(context, by="grace", reason="enough", to="1")
    assert context.registry.version_of(CHAMPION) == "1"


def test_the_alias_does_not_move_when_the_champion_is_another_by_now(
    context: Context, snapshot_id: str
):
    judged = train(context, snapshot_id=snapshot_id, config=still(5)).version
    assert evaluate(context, version=judged).passed
    other = train(context, snapshot_id=snapshot_id, config=WILD).version
    promote(context, version=other, by="grace", reason="meanwhile", force=True)
    with pytest.raises(StaleError, match="judged against version 1"):
        promote(context, version=judged, by="a test")
    rollback(context, by="grace", reason="back", to="1")


def test_a_version_that_was_never_judged_is_not_promoted(context: Context, snapshot_id: str):
    version = train(context, snapshot_id=snapshot_id, config=still(6)).version
    with pytest.raises(PromotionError, match="never judged"):
        promote(context, version=version, by="a test")


def test_a_move_that_a_crash_cut_off_is_finished_and_not_written_twice(
    context: Context, snapshot_id: str, monkeypatch
):
    version = train(context, snapshot_id=snapshot_id, config=still(7)).version
    evaluate(context, version=version)
    before = len(moves(context))

    def crash(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(context.registry), "move_alias", crash)
    with pytest.raises(KeyboardInterrupt):
        promote(context, version=version, by="a test")
    monkeypatch.undo()
    assert context.registry.version_of(CHAMPION) == "1"
    assert promote(context, version=version, by="a test").promoted
    assert context.registry.version_of(CHAMPION) == version
    assert len(moves(context)) == before + 1
    rollback(context, by="a test", reason="back")
    assert context.registry.version_of(CHAMPION) == "1"


def test_two_trainings_cannot_run_at_once(context: Context, snapshot_id: str):
    with (
        context.lease.hold("somebody else"),
        pytest.raises(LeaseHeldError, match="somebody else is at work"),
    ):
        train(context, snapshot_id=snapshot_id, config=still(8))


def test_a_class_that_is_missing_this_week_keeps_its_place(context: Context, snapshot_id: str):
    """The published system numbered classes by whichever folders existed, and swapped CXR and
    ChestCT.
    """
    version = train(context, snapshot_id=snapshot_id, config=STILL).version
    labels = Predictor(context.registry.model_file(version)).metadata.labels
    assert labels == ("AbdomenCT", "BreastMRI", "CXR", "ChestCT", "Hand", "HeadCT")
    assert labels == Predictor(context.registry.model_file("1")).metadata.labels


def test_a_training_can_be_reproduced_to_the_bit(context: Context, snapshot_id: str):
    version = train(context, snapshot_id=snapshot_id, config=STILL).version
    result = reproduce(context, version=version)
    assert result.same, result
    assert result.note == ""


def test_a_difference_in_reproducing_is_explained_by_what_was_recorded(
    context: Context, snapshot_id: str
):
    version = context.registry.get(train(context, snapshot_id=snapshot_id, config=STILL).version)
    recorded = json.loads(context.registry.attachment(version.run_id, ENVIRONMENT_FILE))
    assert set(recorded) == {"medloop", "torch", "numpy", "Python", "processor", "cores", "GPU"}
    context.registry.set_tags(version.version, VersionTags(weights_sha256="another"))
    context.registry.attach(
        version.run_id, {ENVIRONMENT_FILE: json.dumps({**recorded, "torch": "1.0"}).encode()}
    )
    result = reproduce(context, version=version.version)
    context.registry.set_tags(
        version.version, VersionTags(weights_sha256=version.tags.weights_sha256)
    )
    assert not result.same
    assert result.note == f"torch was 1.0 and is {recorded['torch']}"


def test_a_training_from_scratch_takes_nothing_of_the_champion(context: Context, snapshot_id: str):
    config = replace(TrainingConfig.smoke(seed=5), steps=3)
    trained = train(context, snapshot_id=snapshot_id, from_scratch=True, config=config)
    recipe = read_recipe(context, context.registry.get(trained.version))
    assert (recipe.parent_version, recipe.parent_weights_sha256) == (None, "")
    training_set = gather(
        context, snapshot_id=snapshot_id, base_id=None, champion_labels=recipe.labels
    )
    alone = run_training(context, training_set, recipe)
    assert alone.weights_sha256 == trained.weights_sha256
    assert (
        train(context, snapshot_id=snapshot_id, config=config).weights_sha256
        != trained.weights_sha256
    )


def test_retraining_says_when_nothing_is_new(context: Context, snapshot_id: str):
    train(context, snapshot_id=snapshot_id, config=STILL)
    decided = plan(context)
    assert decided.snapshot_id is None
    assert "nothing new" in decided.reason
    assert plan(context, force=True).snapshot_id == snapshot_id
    result = retrain(context)
    assert result.version is None
    assert "nothing new" in result.reason


def test_one_new_correction_is_reason_enough_unless_more_are_asked_for(
    context: Context, snapshot_id: str
):
    train(context, snapshot_id=snapshot_id, config=STILL)
    sample = context.datasets.get(None)
    hand = sample.images[sample.targets == sample.labels.index("Hand")][7]
    correct(context, np.ascontiguousarray(hand[::-1] // 3), "Hand", who="bob")
    assert plan(context, min_new=5).snapshot_id is None
    decided = plan(context)
    assert decided.new == 1
    assert decided.snapshot_id not in (None, snapshot_id)
    result = retrain(context, config=STILL, by="a test")
    assert result.version is not None
    assert result.snapshot_id == decided.snapshot_id
    assert plan(context).snapshot_id is None


def test_an_acceptance_set_is_never_trained_on_and_holds_the_gate(context: Context, tmp_path):
    sample = context.datasets.get(None)
    corrected = np.ascontiguousarray(sample.images[100].T)
    correct(context, corrected, "Hand", who="eve")
    known = np.minimum(sample.images[split(sample.targets, sample.groups).train[3]], 254) + 1
    for label, pixels in (
        ("CXR", known),
        ("Hand", corrected),
        ("none", np.zeros((80, 80), np.uint8)),
    ):
        (tmp_path / "site" / label).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "site" / label / "1.png")
    added = add_acceptance_set(
        context, name="site-a", path=tmp_path / "site", by="a test", floor=1.0
    )
    assert (added.images, added.learned, added.unchecked) == (2, 1, ())

    trained = train(context, snapshot_id=snapshot(context).snapshot_id, config=still(11))
    uses = {row.image_sha256: row.use for row in audit(context, version=trained.version).rows}
    assert uses[content_sha256(corrected)] == "in an acceptance set"
    report = evaluate(context, version=trained.version)
    assert [
        check
        for check in report.decision.checks
        if (check.kind, check.subject) == ("acceptance set", "site-a")
    ]
    withdraw(context, name="site-a", by="a test")
    assert context.acceptance_sets.declarations() == []


def test_a_model_is_not_judged_by_images_that_its_champion_learned_from(
    context: Context, snapshot_id: str, tmp_path
):
    """Champion and challenger have different base data sets: a part of the first, split
    differently, is the second.
    """
    sample = context.datasets.get(None)
    for i in range(0, len(sample.images), 5):
        file = tmp_path / "part" / sample.labels[sample.targets[i]] / f"{i:05}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encode_png(sample.images[i]))
    other = context.datasets.import_path(tmp_path / "part").dataset
    moved = replace(
        context, settings=context.settings.model_copy(update={"base_dataset": other.id})
    )
    challenger = train(moved, snapshot_id=snapshot(moved).snapshot_id, config=still(31))
    recipe = read_recipe(moved, moved.registry.get(challenger.version))
    assert (recipe.base_id, recipe.parent_version) == (other.id, None)  # from nothing
    report = evaluate(moved, version=challenger.version)
    test = split(other.targets, other.groups).test
    trained = {
        image.tobytes() for image in sample.images[split(sample.targets, sample.groups).train]
    }
    fresh = sum(image.tobytes() not in trained for image in other.images[test])
    assert report.base_id == other.id
    assert 0 < report.scores["challenger"]["n"] <= fresh < len(test)


def test_the_watch_goes_back_when_people_correct_the_new_champion(
    context: Context, snapshot_id: str
):
    version = train(context, snapshot_id=snapshot_id, config=still(12)).version
    promote(context, version=version, by="grace", reason="to be watched", force=True)
    assert not watch(context).alarm  # nobody has answered yet
    for i in range(40):
        pixels = np.full((64, 64), i, np.uint8)
        old = i < 25
        event = correction(
            content_sha256(pixels),
            "CXR" if old else "Hand",
            at=context.now(),
            model_version="1" if old else version,
        )
        context.corrections.put(event, encode_png(pixels), day=event.at[:10])
    seen = watch(context, dry_run=True)
    assert seen.alarm
    assert not seen.rolled_back
    assert context.registry.version_of(CHAMPION) == version
    result = watch(context)
    assert result.rolled_back
    assert context.registry.version_of(CHAMPION) == "1"
    entry = context.ledger.entries()[-1]
    assert (entry.action, entry.by) == ("rollback", "medloop watch")
    assert "15 of 15 images" in entry.reason
    assert not watch(context).watching  # a rollback is not watched


def test_the_commands_show_versions_history_and_what_a_version_learned(
    context: Context, snapshot_id: str, run
):
    version = train(context, snapshot_id=snapshot_id, config=STILL).version
    listed = {item["version"]: item for item in json.loads(run("models", "--json"))}
    assert set(listed["1"]["aliases"]) >= {"champion", "reference"}
    assert listed[version]["parent_version"] == "1"
    assert "champion" in run("models")
    made = json.loads(run("history", "--json"))
    assert [move["action"] for move in made][:1] == ["bootstrap"]
    assert "bootstrap" in run("history")
    audited = json.loads(run("audit", version, "--json"))
    assert {row["use"] for row in audited["corrections"]} == {"trained"}
    assert "held out" in {
        row["use"] for row in json.loads(run("audit", version, "--all", "--json"))["corrections"]
    }
    assert json.loads(run("evaluate", version, "--json"))["version"] == version
    assert "The gate says" in run("evaluate", version)


def test_the_commands_promote_and_roll_back_with_a_reason(context: Context, snapshot_id: str, run):
    version = train(context, snapshot_id=snapshot_id, config=WILD).version
    evaluate(context, version=version)
    refused = run("promote", version, exit_code=1)
    assert "stays the champion" in refused
    run("promote", version, "--force", "--reason", "=1+1", "--by", "grace")
    assert context.registry.version_of(CHAMPION) == version
    assert json.loads(run("rollback", "--reason", "enough", "--json"))["to_version"] == "1"
    assert "grace" in run("history")


@pytest.fixture
def run(context: Context, monkeypatch):
    """Run `medloop …` against the loop; gives what it printed."""

    def invoke(*arguments: str, exit_code: int = 0) -> str:
        monkeypatch.setattr("medloop.wiring.connect", lambda settings=None: context)
        result = CliRunner().invoke(build_app(), arguments, env={"COLUMNS": "200"})
        assert result.exit_code == exit_code, result.output
        return result.stdout

    return invoke
