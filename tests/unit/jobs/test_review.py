"""Screening, the review queue and erasing, over the store in memory."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from tests.corrections_world import World, decoded
from tests.events import START, correction, image, png
from tests.events import review as review_event

from medloop.core.corrections import snapshot as core
from medloop.core.corrections.events import image_key
from medloop.core.imaging.decode import content_sha256
from medloop.core.prediction.predictor import Prediction
from medloop.errors import ReviewError, StoreError
from medloop.jobs import screen as screening
from medloop.jobs.correct import correct, explain_weight, withdraw
from medloop.jobs.erase import erase
from medloop.jobs.review import describe_queue, queue, review
from medloop.jobs.screen import screen, screened_snapshot
from medloop.jobs.snapshot import snapshot
from medloop.stores.objects import ObjectStore
from medloop.stores.version_tags import VersionTags


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(ObjectStore.in_memory(), tmp_path)


def accepted(world: World) -> dict[str, str | None]:
    data = world.context.snapshots.load(snapshot(world.context).snapshot_id)
    return dict(zip(data.image_sha256, data.labels, strict=True))


def store_pixels(world: World, pixels: np.ndarray, label: str | None, who: str) -> str:
    correct(
        world.context,
        image=decoded(pixels),
        given_label=label,
        prediction=None,
        model_version="1",
        who=who,
    )
    world.context.sender.send_once()
    return content_sha256(pixels)


def test_a_label_that_contradicts_a_look_alike_waits_with_the_reason(world: World) -> None:
    fine = world.correct(1, "Hand")
    brighter = (image(1001) * 0.9 + 20).astype(np.uint8)  # image 1001 is a CXR of the base data set
    wrong = store_pixels(world, brighter, "Hand", "ada")
    screened = screen(world.context)
    assert (screened.looked_at, set(screened.flagged)) == (2, {wrong})
    assert accepted(world) == {fine: "Hand"}
    (item,) = queue(world.context)
    assert item.image_sha256 == wrong
    assert item.decision.reasons == ("nearly the same picture is known as CXR",)
    assert [c.given_label for c in item.corrections] == ["Hand"]


def test_one_word_against_a_confident_answer_waits_and_is_counted(world: World) -> None:
    sure = Prediction("CXR", 0.99, "confident", {}, 0.0, np.zeros(2), None)

    def say(seed: int, who: str, *, by_reviewer: bool = False) -> None:
        correct(
            world.context,
            image=decoded(image(seed)),
            given_label="Hand",
            prediction=sure,
            model_version="3",
            who=who,
            by_reviewer=by_reviewer,
        )

    for seed in (1, 2):
        say(seed, "ada")
    say(3, "rev", by_reviewer=True)
    world.correct(1, "Hand", who="bob")
    assert describe_queue(world.context) == (
        "1 corrected image waits for a reviewer; for it a second person's word is enough: "
        "see `medloop review list`"
    )
    assert len(accepted(world)) == 2
    reviewer = explain_weight(sure, "Hand", by_reviewer=True)
    assert "corrector and reviewer in one" in reviewer
    alone = explain_weight(sure, "Hand", by_reviewer=False)
    assert "a second person or a reviewer has to agree before it is learned" in alone
    assert not explain_weight(sure, "CXR", by_reviewer=False)
    world.correct(2, "Hand", who="bob")
    assert describe_queue(world.context) == ""


def test_a_wrong_label_given_twice_waits_twice(world: World) -> None:
    brighter = (image(1001) * 0.9 + 20).astype(np.uint8)
    wrong = {store_pixels(world, pixels, "Hand", "ada") for pixels in (brighter, brighter + 1)}
    assert set(screen(world.context).flagged) == wrong


def test_two_people_who_disagree_about_near_duplicates_both_wait(world: World) -> None:
    one = world.correct(5, "Hand", who="ada")
    other = store_pixels(world, (image(5) * 0.9 + 20).astype(np.uint8), "CXR", "bob")
    assert set(screen(world.context).flagged) == {one, other}
    assert accepted(world) == {}


def test_screening_twice_or_after_a_snapshot_writes_no_second_flag(world: World) -> None:
    store_pixels(world, (image(1001) * 0.9 + 20).astype(np.uint8), "Hand", "ada")
    screen(world.context)
    screen(world.context)
    flags = [info.key for info in world.objects.list("reviews")]
    assert len(flags) == 1
    snapshot(world.context)
    assert screen(world.context).looked_at == 0


def test_a_look_alike_in_an_earlier_snapshot_counts(world: World) -> None:
    world.correct(5, "Hand")
    snapshot(world.context)
    wrong = store_pixels(world, (image(5) * 0.9 + 20).astype(np.uint8), "CXR", "bob")
    assert set(screen(world.context).flagged) == {wrong}


class WhileReading(ObjectStore):
    """Does something when an image is first read, as somebody else might."""

    act: Callable[[], None] | None = None

    def get(self, key: str, *, at_most: int | None = None) -> bytes:
        if key.startswith("images/") and self.act:
            act, self.act = self.act, None
            act()
        return super().get(key, at_most=at_most)


def test_a_correction_that_arrives_during_the_screening_waits_for_the_next_one(
    tmp_path: Path,
) -> None:
    world = World(WhileReading.in_memory(), tmp_path)
    fine = world.correct(1, "Hand")
    late = (image(1001) * 0.9 + 20).astype(np.uint8)
    world.objects.act = lambda: store_pixels(world, late, "Hand", "ada")
    taken, screened = screened_snapshot(world.context)
    assert world.objects.act is None, "it did arrive"
    assert (taken.corrections, screened.looked_at) == (1, 1)
    taken, screened = screened_snapshot(world.context)
    assert (taken.new_corrections, set(screened.flagged)) == (1, {content_sha256(late)})
    data = world.context.snapshots.load(taken.snapshot_id)
    assert data.image_sha256 == (fine,)
    assert data.count("pending") == 1


def test_a_withdrawal_that_arrives_during_the_screening_waits_for_the_next_one(
    tmp_path: Path,
) -> None:
    world = World(WhileReading.in_memory(), tmp_path)
    disputed = disputed_look_alike(world)
    world.correct(1, "Hand")

    world.objects.act = lambda: world.store(
        review_event(disputed, "withdraw", who="bob", at=world.now)
    )
    screened_snapshot(world.context)
    taken, screened = screened_snapshot(world.context)
    assert set(screened.flagged) == {disputed}
    assert disputed not in world.context.snapshots.load(taken.snapshot_id).image_sha256


def disputed_look_alike(world: World) -> str:
    """Two people disagree about a picture that the base data knows as CXR."""
    pixels = (image(1001) * 0.9 + 20).astype(np.uint8)
    store_pixels(world, pixels, "Hand", "ada")
    return store_pixels(world, pixels, "CXR", "bob")


@pytest.mark.parametrize("snapshots_before", [0, 1])
def test_a_conflict_that_a_withdrawal_ends_is_screened(world: World, snapshots_before: int) -> None:
    disputed = disputed_look_alike(world)
    for n in range(5):
        world.correct(n, "Hand")
    for _ in range(snapshots_before):
        screened_snapshot(world.context)
    world.store(review_event(disputed, "withdraw", who="bob", at=world.now))
    taken, screened = screened_snapshot(world.context)
    assert screened.flagged == {disputed: ("nearly the same picture is known as CXR",)}
    data = world.context.snapshots.load(taken.snapshot_id)
    assert (len(data.image_sha256), data.count("pending")) == (5, 1), (
        "the flag's id is old, and its chunk lost nothing"
    )


def test_a_full_snapshot_screens_what_the_look_back_missed_and_nothing_else(world: World) -> None:
    old = store_pixels(world, (image(1002) * 0.9 + 20).astype(np.uint8), "CXR", "ada")
    snapshot(world.context)
    world.pass_days(30)
    world.correct(2)
    screened_snapshot(world.context)
    copied = (image(1001) * 0.9 + 20).astype(np.uint8)
    event = correction(content_sha256(copied), "Hand")
    world.context.corrections.put(event, png(copied), day="2026-11-02")
    assert screened_snapshot(world.context)[1].looked_at == 0
    taken, screened = screened_snapshot(world.context, full=True)
    assert (screened.looked_at, set(screened.flagged)) == (1, {event.image_sha256})
    assert old in world.context.snapshots.load(taken.snapshot_id).image_sha256


@pytest.mark.parametrize("part", ["events", "images"])
def test_a_full_snapshot_makes_good_a_lost_shard_while_new_corrections_wait(
    world: World, part: str
) -> None:
    kept = world.correct(1)
    screened_snapshot(world.context)
    (lost,) = [key for key in world.snapshots_bytes() if f"/{part}/" in key]
    world.objects.delete(lost)
    fresh = world.correct(2)
    with pytest.raises(StoreError):
        screened_snapshot(world.context)
    taken, _ = screened_snapshot(world.context, full=True)
    assert set(world.context.snapshots.load(taken.snapshot_id).image_sha256) == {kept, fresh}


def test_screening_compares_with_the_newest_earlier_pictures_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it costs must not grow with the store."""
    monkeypatch.setattr(core, "CHUNK_EVENTS", 4)
    monkeypatch.setattr(screening, "NEWEST_CHUNKS", 2)
    old = world.correct(0)
    for n in range(1, 60):
        world.correct(n)
    screened_snapshot(world.context)
    assert len(world.context.snapshots.latest().chunks) > 4
    store_pixels(world, (image(0) * 0.9 + 20).astype(np.uint8), "CXR", "bob")
    recent = store_pixels(world, (image(59) * 0.9 + 20).astype(np.uint8), "CXR", "bob")
    assert set(screen(world.context).flagged) == {recent}
    world.correct(0, "CXR", who="eve")
    assert old not in screen(world.context).flagged
    assert [item.image_sha256 for item in queue(world.context) if item.conflict] == [old], (
        "the same picture is found"
    )


def test_a_decision_from_long_ago_spares_the_same_picture_the_screening(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "CHUNK_EVENTS", 4)
    monkeypatch.setattr(screening, "NEWEST_CHUNKS", 1)
    pixels = (image(1001) * 0.9 + 20).astype(np.uint8)
    sha256 = store_pixels(world, pixels, "Hand", "ada")
    world.store(review_event(sha256, "approve", at=world.now))
    for n in range(20):
        world.correct(n)
    screened_snapshot(world.context)
    store_pixels(world, pixels, "Hand", "bob")
    assert screen(world.context).looked_at == 0


@pytest.mark.parametrize("mode", ["trust", "all"])
def test_the_other_modes_screen_nothing(tmp_path: Path, mode: str) -> None:
    world = World(ObjectStore.in_memory(), tmp_path, review=mode)
    store_pixels(world, (image(1001) * 0.9 + 20).astype(np.uint8), "Hand", "ada")
    assert screen(world.context).looked_at == 0
    assert len(queue(world.context)) == (mode == "all")


@pytest.mark.parametrize(
    ("verdict", "label", "outcome"),
    [
        ("approve", None, {"Hand"}),
        ("reject", None, set()),
        ("relabel", "CXR", {"CXR"}),
        ("relabel", None, {None}),
    ],
)
def test_a_decision_takes_the_image_off_the_queue(world: World, verdict, label, outcome) -> None:
    store_pixels(world, (image(1001) * 0.9 + 20).astype(np.uint8), "Hand", "ada")
    screen(world.context)
    review(
        world.context,
        items=queue(world.context),
        verdict=verdict,
        label=label,
        who="rev",
        why="looked",
    )
    assert queue(world.context) == [], "at once, though it is not sent yet"
    world.context.sender.send_once()
    assert queue(world.context) == []
    assert set(accepted(world).values()) == outcome


def test_a_conflict_waits_cannot_be_approved_and_is_ended_by_a_relabel(world: World) -> None:
    world.correct(1, "Hand", who="ada")
    world.correct(1, None, who="bob")
    assert accepted(world) == {}
    (item,) = queue(world.context)
    assert item.conflict
    assert item.decision.reasons == ("people disagree: Hand, none of these",)
    with pytest.raises(ReviewError, match="relabel it"):
        review(world.context, items=[item], verdict="approve", who="rev")
    review(world.context, items=[item], verdict="relabel", label="Hand", who="rev")
    world.context.sender.send_once()
    assert accepted(world) == {item.image_sha256: "Hand"}


def test_a_second_rejection_of_an_image_that_came_back_counts(world: World) -> None:
    """Same reviewer, same image, same verdict, a moment later: but about another answer."""
    world.correct(1, "Hand", who="ada")
    world.correct(1, None, who="bob")
    for verdict_on in ("the conflict", "the fresh answer"):
        (item,) = queue(world.context)
        (receipt,) = review(
            world.context, items=[item], verdict="reject", who="rev", why=verdict_on
        )
        assert not receipt.duplicate
        (again,) = review(world.context, items=[item], verdict="reject", who="rev")
        assert again.duplicate, "the same click twice"
        world.context.sender.send_once()
        assert (queue(world.context), accepted(world)) == ([], {})
        if verdict_on == "the conflict":
            world.correct(1, "CXR", who="eve")
            world.correct(1, "HeadCT", who="mallory")


@pytest.mark.parametrize("verdict", ["approve", "reject", "relabel"])
def test_a_decision_counts_though_the_reviewers_clock_is_behind(world: World, verdict: str) -> None:
    store_pixels(world, (image(1001) * 0.9 + 20).astype(np.uint8), "Hand", "ada")
    screened_snapshot(world.context)
    world.now = START - timedelta(days=2)
    review(world.context, items=queue(world.context), verdict=verdict, label="CXR", who="rev")
    world.context.sender.send_once()
    assert queue(world.context) == []
    assert (
        list(accepted(world).values())
        == {"approve": ["Hand"], "reject": [], "relabel": ["CXR"]}[verdict]
    )


LOGIN = {
    "oidc_issuer": "https://login.clinic.example",
    "oidc_client_id": "medloop",
    "oidc_client_secret": "geheim",
}


@pytest.mark.parametrize(
    ("verdict", "label"), [("approve", None), ("relabel", "CXR"), ("relabel", "Hand")]
)
def test_where_people_sign_in_nobody_decides_about_their_own_word_alone(
    tmp_path: Path, verdict, label
) -> None:
    world = World(ObjectStore.in_memory(), tmp_path, review="all", **LOGIN)
    world.correct(1, "Hand", who="ada")
    with pytest.raises(ReviewError, match=r"nobody but you .* somebody else has to review it"):
        review(world.context, items=queue(world.context), verdict=verdict, label=label, who="ada")
    assert len(queue(world.context)) == 1
    review(world.context, items=queue(world.context), verdict=verdict, label=label, who="rev")
    assert queue(world.context) == []


def test_where_people_sign_in_they_may_leave_their_own_out_and_second_somebody(
    tmp_path: Path,
) -> None:
    world = World(ObjectStore.in_memory(), tmp_path, review="all", **LOGIN)
    world.correct(1, "Hand", who="ada")
    review(world.context, items=queue(world.context), verdict="reject", who="ada")
    world.correct(2, "Hand", who="ada")
    world.correct(2, "Hand", who="bob")
    review(world.context, items=queue(world.context), verdict="approve", who="ada")
    assert queue(world.context) == []


def test_the_one_local_user_reviews_what_they_said_themselves(tmp_path: Path) -> None:
    world = World(ObjectStore.in_memory(), tmp_path, review="all")
    world.correct(1, "Hand", who="ada")
    review(world.context, items=queue(world.context), verdict="approve", who="ada")
    assert queue(world.context) == []


@pytest.mark.parametrize(
    ("verdict", "label", "outcome"),
    [("approve", None, "Hand"), ("relabel", "CXR", "CXR"), ("reject", None, None)],
)
def test_a_disputed_approved_image_is_listed_and_learned_meanwhile(
    tmp_path: Path, verdict, label, outcome
) -> None:
    world = World(ObjectStore.in_memory(), tmp_path, review="all")
    sha256 = world.correct(1, "Hand", who="ada")
    review(world.context, items=queue(world.context), verdict="approve", who="rev")
    world.context.sender.send_once()
    assert queue(world.context) == []
    world.correct(1, "CXR", who="bob")
    (item,) = queue(world.context)
    assert (item.disputed, item.conflict) == (True, False)
    assert item.decision.reasons == ("approved as Hand, and 1 person has said otherwise since",)
    assert accepted(world) == {sha256: "Hand"}
    review(world.context, items=[item], verdict=verdict, label=label, who="rev")
    world.context.sender.send_once()
    assert queue(world.context) == []
    assert accepted(world).get(sha256) == outcome


def test_the_queue_does_not_depend_on_snapshots_and_a_redraw_reads_only_news(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "CHUNK_EVENTS", 4)
    reads: Counter[str] = Counter()

    class Counting(ObjectStore):
        def get(self, key: str, *, at_most: int | None = None) -> bytes:
            reads[key.partition("/")[0] if "events" not in key else "shards"] += 1
            return super().get(key, at_most=at_most)

    world = World(Counting.in_memory(), tmp_path)
    for n in range(12):
        world.correct(n, "Hand", who="ada")
        world.correct(n, "CXR", who="bob")
    before = [
        (item.image_sha256, item.corrections, item.newest_id) for item in queue(world.context)
    ]
    assert len(before) == 12
    world.pass_days(10)
    world.correct(99)
    snapshot(world.context)
    world.pass_days(10)
    world.correct(0, "CXR", who="ada")  # ends a conflict
    queue(world.context)
    reads.clear()
    assert [
        (item.image_sha256, item.corrections, item.newest_id) for item in queue(world.context)
    ] == before[1:]
    assert len(world.context.snapshots.latest().chunks) > 4
    assert (reads["shards"], reads["corrections"]) == (1, 1), "the events of the last days"


def test_a_person_may_take_their_correction_back(world: World) -> None:
    sha256 = world.correct(1)
    withdraw(world.context, image_sha256=sha256, who="ada")
    world.context.sender.send_once()
    assert accepted(world) == {}


def test_what_a_snapshot_holds_cannot_be_taken_back_but_a_newer_answer_can(world: World) -> None:
    sha256 = world.correct(1, "Hand")
    snapshot(world.context)
    with pytest.raises(ReviewError, match="cannot be taken back any more"):
        withdraw(world.context, image_sha256=sha256, who="ada")
    assert world.context.outbox.status().pending == 0
    world.correct(1, "CXR")
    withdraw(world.context, image_sha256=sha256, who="ada")
    assert world.context.outbox.status().pending == 1


def test_nobody_takes_back_what_another_person_said(world: World) -> None:
    sha256 = world.correct(1, who="ada")
    with pytest.raises(ReviewError, match="nothing to take back"):
        withdraw(world.context, image_sha256=sha256, who="bob")


@dataclass
class Version:
    version: str
    tags: VersionTags


@dataclass
class FakeRegistry:
    found: list[Version] = field(default_factory=list)

    def versions(self) -> list[Version]:
        return self.found


def test_erasing_removes_the_pixels_everywhere_and_names_the_versions(tmp_path: Path) -> None:
    registry = FakeRegistry()
    world = World(ObjectStore.in_memory(), tmp_path, registry=registry)
    kept = world.correct(1)
    before = snapshot(world.context).snapshot_id
    gone = world.correct(2)
    trained = snapshot(world.context).snapshot_id
    registry.found = [
        Version("1", VersionTags()),
        Version("2", VersionTags(snapshot_id=before)),
        Version("3", VersionTags(snapshot_id=trained)),
    ]
    done = erase(world.context, image_sha256=gone, who="dpo", why="a wish")
    assert (done.was_stored, done.learned.versions, len(done.shards)) == (True, ("3",), 1)
    assert world.objects.head(image_key(gone)) is None
    assert not any(
        image(2).tobytes() in raw or _holds(raw, gone) for raw in world.snapshots_bytes().values()
    )
    assert world.context.snapshots.load(trained).image_sha256 == (kept,), (
        "an old snapshot goes on without it"
    )
    assert accepted(world) == {kept: "Hand"}
    again = erase(world.context, image_sha256=gone, who="dpo")
    assert (again.was_stored, again.shards) == (False, ())


def _holds(raw: bytes, sha256: str) -> bool:
    from medloop.stores.snapshot_shards import unpack_images

    try:
        return sha256 in unpack_images(raw)
    except Exception:
        return False


def test_a_registry_that_is_away_does_not_keep_an_image_from_being_erased(world: World) -> None:
    sha256 = world.correct(1)
    done = erase(world.context, image_sha256=sha256, who="dpo")
    assert world.objects.head(image_key(sha256)) is None
    assert "MLFLOW_TRACKING_URI" in done.learned.unknown


def test_an_erased_image_is_not_learned_from_when_it_comes_again(world: World) -> None:
    sha256 = world.correct(1)
    erase(world.context, image_sha256=sha256, who="dpo")
    world.correct(1, "CXR", who="bob")
    assert accepted(world) == {}
    assert world.objects.head(image_key(sha256)) is None


def test_pixels_that_came_back_during_an_erasure_are_removed_by_the_next_snapshot(
    world: World,
) -> None:
    """A sender or a snapshot that was under way when the image was erased."""
    sha256 = world.correct(1)
    snapshot(world.context)
    erase(world.context, image_sha256=sha256, who="dpo")
    world.objects.put(image_key(sha256), b"late")
    snapshot(world.context)
    assert world.objects.head(image_key(sha256)) is None


def test_erasing_what_still_waits_in_the_outbox_wipes_it_there(world: World) -> None:
    shown = decoded(image(3))
    correct(
        world.context,
        image=shown,
        given_label="Hand",
        prediction=None,
        model_version=None,
        who="ada",
    )
    erase(world.context, image_sha256=shown.sha256, who="dpo")
    assert world.context.sender.send_once().sent == 1
    assert world.objects.head(image_key(shown.sha256)) is None
    assert accepted(world) == {}


def test_corrections_keep_pixels_and_the_prediction_and_nothing_of_the_upload(world: World) -> None:
    world.correct(1, "Hand")
    (key,) = [info.key for info in world.objects.list("corrections")]
    event = correction("", id="").from_json(world.objects.get(key))
    assert (event.given_label, event.who, event.source, event.image_sha256) == (
        "Hand", "ada", "page", content_sha256(image(1)),
    )  # fmt: skip
    raw = world.objects.get(image_key(event.image_sha256))
    chunks = {raw[i + 4 : i + 8] for i in _chunk_starts(raw)}
    assert chunks <= {b"IHDR", b"IDAT", b"IEND"}


def _chunk_starts(raw: bytes) -> list[int]:
    starts, at = [], 8
    while at < len(raw):
        starts.append(at)
        at += 12 + int.from_bytes(raw[at : at + 4], "big")
    return starts
