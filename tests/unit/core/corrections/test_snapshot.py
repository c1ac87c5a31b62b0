import json
import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from tests.corrections_world import World
from tests.events import START, correction, image, png, review

from medloop.core.corrections import snapshot as core
from medloop.core.corrections.correction_policy import Policy
from medloop.core.corrections.events import LATEST, event_key, image_key
from medloop.core.imaging.decode import content_sha256
from medloop.core.imaging.preprocess import preprocess
from medloop.errors import NotFoundError, StoreError, StoreUnavailableError
from medloop.jobs.snapshot import policy_of, snapshot
from medloop.settings import Settings
from medloop.stores.objects import ObjectStore


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "CHUNK_EVENTS", 8)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(ObjectStore.in_memory(), tmp_path)


def test_an_empty_store_gives_an_empty_snapshot(world: World) -> None:
    result = snapshot(world.context)
    data = world.context.snapshots.load(result.snapshot_id)
    assert (result.corrections, result.new_corrections, len(data.images)) == (0, 0, 0)
    assert data.base_id == "base0000base0000"


def test_what_people_said_comes_back_with_pixels_and_reasons(world: World) -> None:
    hand = world.correct(1, "Hand")
    nothing = world.correct(2, None, who="bob")
    disputed = world.correct(3, "Hand")
    world.correct(3, "CXR", who="bob")
    rejected = world.correct(4, "Hand")
    world.store(review(rejected, "reject", why="blurred", at=world.now))
    result = snapshot(world.context)
    data = world.context.snapshots.load(result.snapshot_id)
    rows = dict(zip(data.image_sha256, zip(data.labels, data.who, strict=True), strict=True))
    assert rows == {hand: ("Hand", "ada"), nothing: (None, "bob")}
    for seed, sha256 in ((1, hand), (2, nothing)):
        assert (data.images[data.image_sha256.index(sha256)] == image(seed)).all()
    assert {d.state.image_sha256: (d.verdict, d.reasons) for d in data.decisions} == {
        hand: ("accepted", ()),
        nothing: ("accepted", ()),
        disputed: ("pending", ("people disagree: CXR, Hand",)),
        rejected: ("rejected", ("blurred",)),
    }
    assert (data.count("accepted"), data.count("pending"), data.count("rejected")) == (2, 1, 1)
    assert (result.corrections, result.new_corrections) == (5, 5)
    assert data.holdout.shape == (2,)


def test_larger_images_are_resized_as_the_model_sees_them(world: World) -> None:
    sha256 = world.correct(1, size=200)
    data = world.context.snapshots.load(snapshot(world.context).snapshot_id)
    assert data.image_sha256 == (sha256,)
    assert (data.images[0] == preprocess(image(1, size=200))).all()


def test_running_again_is_the_same_snapshot_and_says_so(world: World) -> None:
    world.correct(1)
    first, before = snapshot(world.context), world.snapshots_bytes()
    again = snapshot(world.context)
    assert again.snapshot_id == first.snapshot_id
    assert (again.new_corrections, again.corrections) == (0, 1)
    assert "nothing new" in again.reason
    assert world.snapshots_bytes() == before


def grown(world: World, *, every: int) -> None:
    """Thirty days of corrections and reviews, with a snapshot every so many events."""
    chance = random.Random(5)
    for n in range(90):
        world.now = START + timedelta(
            days=n // 3, hours=n % 3
        )  # however often a snapshot asked for the time
        sha256 = world.correct(
            chance.randrange(40), chance.choice(["Hand", "CXR", None]), who=chance.choice("abc")
        )
        if n % 7 == 0:
            action = chance.choice(["approve", "reject", "relabel"])
            event_id, at = world.context.new_event()
            world.store(replace(review(sha256, action, "Hand"), id=event_id, at=at))
        if n % every == 0:
            snapshot(world.context)


def test_however_many_snapshots_it_took_the_same_events_give_the_same_bytes(tmp_path: Path) -> None:
    contents = []
    for every in (1, 10, 1000):
        world = World(ObjectStore.in_memory(), tmp_path / str(every))
        grown(world, every=every)
        result = snapshot(world.context)
        manifest = world.context.snapshots.manifest(result.snapshot_id)
        stored = world.snapshots_bytes()
        shards = {
            key: raw
            for key, raw in stored.items()
            if any(c.events in key or str(c.images) in key for c in manifest.chunks)
        }
        contents.append((result.snapshot_id, manifest.to_json(), shards))
        assert len(manifest.chunks) > 5
    assert contents[0] == contents[1] == contents[2]


def test_ids_tell_base_data_sets_and_policies_apart(tmp_path: Path) -> None:
    objects = ObjectStore.in_memory()
    world = World(objects, tmp_path)
    world.correct(1)
    ids = [snapshot(world.context).snapshot_id]
    others = (
        {"review": "all"},
        {"max_per_person": 7},
        {"share_allowance": 7},
        {"base_dataset": "another"},
    )
    for changes in others:
        other = World(objects, tmp_path, **changes)
        result = snapshot(other.context)
        assert result.new_corrections == 0
        ids.append(result.snapshot_id)
    assert len(set(ids)) == 5


def test_by_default_one_person_among_several_may_not_outweigh_the_others() -> None:
    assert policy_of(Settings()) == Policy(
        "suspicious", max_per_person=500, max_share=0.5, share_allowance=100, second_word=True
    )


def test_a_manifest_from_before_the_allowance_keeps_its_meaning_and_id(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = b"""{"schema": 1, "snapshot_id": "20edd3edc52a21c8", "base_id": "base0000base0000",
      "policy": {"review": "suspicious", "max_per_person": 500, "max_share": 1.0},
      "preprocessing_version": "1", "chunks": []}"""
    manifest = core.Manifest.from_json(raw)
    assert manifest.policy == Policy(
        "suspicious", max_per_person=500, max_share=1.0, share_allowance=0
    )
    monkeypatch.setattr(core, "PREPROCESSING_VERSION", manifest.preprocessing_version)
    rebuilt = core.Manifest.build(base_id=manifest.base_id, policy=manifest.policy, chunks=())
    assert rebuilt == manifest


def test_only_new_events_and_images_are_read(tmp_path: Path) -> None:
    reads: Counter[str] = Counter()

    class Counting(ObjectStore):
        def get(self, key: str, *, at_most: int | None = None) -> bytes:
            reads[key.partition("/")[0]] += 1
            return super().get(key, at_most=at_most)

    world = World(Counting.in_memory(), tmp_path)
    for n in range(60):
        world.correct(n)
        world.pass_days(1)
    snapshot(world.context)
    reads.clear()
    for n in range(100, 110):
        world.correct(n)
    assert snapshot(world.context).new_corrections == 10
    assert (reads["corrections"], reads["images"]) == (10, 10)
    assert reads["snapshots"] < 10


def test_a_late_event_is_found_though_it_is_old(world: World) -> None:
    """It waited in an outbox for weeks: its id is old, its day in the key is that of storing."""
    old = correction(content_sha256(image(1)), at=START)
    world.pass_days(30)
    for n in range(2, 20):
        world.correct(n)
    snapshot(world.context)
    world.store(old, image(1))
    result = snapshot(world.context)
    assert result.new_corrections == 1
    assert old.image_sha256 in world.context.snapshots.load(result.snapshot_id).image_sha256


def test_a_day_that_was_never_seen_is_read_however_old(world: World) -> None:
    world.pass_days(30)
    world.correct(1)
    snapshot(world.context)
    world.context.corrections.put(
        correction(content_sha256(image(2))), png(image(2)), day="2025-01-01"
    )
    assert snapshot(world.context).new_corrections == 1


def test_a_full_one_finds_what_the_look_back_misses(world: World) -> None:
    world.correct(1)
    world.pass_days(30)
    world.correct(2)
    snapshot(world.context)
    world.context.corrections.put(
        correction(content_sha256(image(3))), png(image(3)), day="2026-11-02"
    )
    assert snapshot(world.context).new_corrections == 0
    assert snapshot(world.context, full=True).new_corrections == 1


def test_an_event_under_two_days_counts_once(world: World) -> None:
    event = correction(content_sha256(image(1)))
    for day in ("2026-11-02", "2026-11-03"):
        world.context.corrections.put(event, png(image(1)), day=day)
    assert snapshot(world.context).corrections == 1


def test_new_is_counted_from_the_snapshot_that_is_named(world: World) -> None:
    """A run that failed after its snapshot must not make the next one believe that nothing
    is new.
    """
    world.correct(1)
    trained = snapshot(world.context).snapshot_id
    world.correct(2)
    snapshot(world.context)
    assert snapshot(world.context).new_corrections == 0
    result = snapshot(world.context, since=trained)
    assert result.new_corrections == 1
    assert trained in result.reason


def test_many_at_once_agree(world: World) -> None:
    for n in range(30):
        world.correct(n)
    with ThreadPoolExecutor(4) as pool:
        ids = {
            result.snapshot_id for result in pool.map(lambda _: snapshot(world.context), range(4))
        }
    assert len(ids) == 1
    assert world.context.snapshots.latest().snapshot_id in ids


def test_a_slower_job_does_not_turn_the_pointer_back(world: World) -> None:
    world.correct(1)
    older = world.context.snapshots.manifest(snapshot(world.context).snapshot_id)
    world.correct(2)
    newer = snapshot(world.context).snapshot_id
    world.context.snapshots.point_to(older, days={}, day="2026-11-02")
    assert world.context.snapshots.latest().snapshot_id == newer


def test_a_broken_event_stops_nothing(world: World) -> None:
    world.correct(1)
    good = event_key(correction(content_sha256(image(2))))
    world.objects.put(good, b"{not json")
    world.objects.put(
        good.replace(".json", "x.json"), json.dumps({"id": "other", "schema": 1}).encode()
    )
    taken = snapshot(world.context)
    assert len(world.context.snapshots.load(taken.snapshot_id).images) == 1
    assert taken.corrections == 1
    assert sorted(taken.left_out) == sorted([good, good.replace(".json", "x.json")])


@pytest.mark.parametrize("damage", ["gone", "changed", "broken"])
def test_a_damaged_image_is_named_and_learned_once_it_is_whole(world: World, damage: str) -> None:
    kept, lost = world.correct(1), world.correct(2)
    whole = world.objects.get(image_key(lost))
    world.objects.delete(image_key(lost))
    if damage != "gone":
        other = world.objects.get(image_key(kept)) if damage == "changed" else b"no PNG"
        world.objects.put(image_key(lost), other)
    taken = snapshot(world.context)
    assert list(taken.left_out.values()) == ["its image is missing or damaged"]
    assert world.context.snapshots.load(taken.snapshot_id).image_sha256 == (kept,)
    world.pass_days(30)
    world.correct(3)
    assert snapshot(world.context).left_out == taken.left_out, "named as long as it is damaged"
    world.objects.put(image_key(lost), whole)
    again = snapshot(world.context)
    assert (again.new_corrections, again.left_out) == (1, {})
    assert lost in world.context.snapshots.load(again.snapshot_id).image_sha256


def test_content_ids_ignore_what_cannot_be_learned_from(world: World) -> None:
    world.correct(1)
    before = world.context.snapshots.load(snapshot(world.context).snapshot_id)
    world.correct(2, "Hand")
    world.correct(2, "CXR", who="bob")
    after = world.context.snapshots.load(snapshot(world.context).snapshot_id)
    assert before.snapshot_id != after.snapshot_id
    assert before.content_id == after.content_id
    assert replace(after, labels=("CXR",)).content_id != after.content_id


def test_a_snapshot_nobody_took_is_said_so(world: World) -> None:
    assert world.context.snapshots.latest() is None
    with pytest.raises(NotFoundError, match="medloop snapshot"):
        world.context.snapshots.load("0123456789abcdef")


@pytest.mark.parametrize("part", ["events", "images"])
def test_a_damaged_shard_is_named(world: World, part: str) -> None:
    world.correct(1)
    snapshot_id = snapshot(world.context).snapshot_id
    (key,) = [key for key in world.snapshots_bytes() if f"/{part}/" in key]
    world.objects.put(key, b"PAR1 not")
    with pytest.raises(StoreError, match="damaged"):
        world.context.snapshots.load(snapshot_id)


def test_progress_is_told_from_zero_to_one(world: World) -> None:
    for n in range(30):
        world.correct(n)
    shares: list[float] = []
    snapshot(world.context, progress=lambda share, what: shares.append(share))
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)


def test_chunks_are_of_about_the_size_they_should_be() -> None:
    records = [core.EventRecord(f"{n:08}", "corrections", b"") for n in range(8000)]
    sizes = [len(chunk) for chunk in core.chunked(records)]
    assert 6 < np.mean(sizes) < 10


def test_the_days_that_differ_between_two_clocks_are_looked_at_again(world: World) -> None:
    world.correct(1)
    snapshot(world.context)
    behind = correction(content_sha256(image(2)), at=START - timedelta(days=2))
    world.context.corrections.put(behind, png(image(2)), day="2026-10-31")
    snapshot(world.context)
    world.context.corrections.put(
        correction(behind.image_sha256, who="bob"), None, day="2026-10-31"
    )
    assert snapshot(world.context).new_corrections == 1


def test_events_about_an_image_are_those_whose_image_it_is() -> None:
    wanted, other = (content_sha256(image(n)) for n in (1, 2))
    about = [correction(wanted), review(wanted, "reject")]
    beside = [
        correction(other),
        correction(other, note=f"like {wanted}"),
        correction(wanted),
    ]
    records = [
        core.EventRecord(e.id, "corrections" if hasattr(e, "note") else "reviews", e.to_json())
        for e in about + beside
    ]
    records[-1] = replace(records[-1], id=correction(wanted).id)  # under another's key
    records.append(
        core.EventRecord(
            correction(wanted).id, "corrections", b'{"image_sha256": "' + wanted.encode()
        )
    )
    assert core.events_about(records, {wanted}) == about


class Failing(ObjectStore):
    """Fails at one call that changes something, before or after it took effect."""

    calls = 0
    fail_at: int | None = None
    late = False

    def _changing(self, act: Callable[[], object]) -> object:
        self.calls += 1
        if self.calls == self.fail_at and not self.late:
            raise StoreUnavailableError("the store cannot be reached")
        result = act()
        if self.calls == self.fail_at:
            raise StoreUnavailableError("the store cannot be reached")
        return result

    def create(self, key: str, data: bytes, *, content_type: str | None = None) -> None:
        write = super().create
        self._changing(lambda: write(key, data, content_type=content_type))

    def replace(self, key: str, data: bytes, e_tag: str) -> str:
        return str(self._changing(lambda: super(Failing, self).replace(key, data, e_tag)))


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_interrupted_at_any_write_it_is_made_good_by_running_again(
    tmp_path: Path, late: bool
) -> None:
    def grow(objects: Failing, home: Path) -> World:
        world = World(objects, home)
        for n in range(12):
            world.correct(n)
        snapshot(world.context)
        for n in range(12, 30):
            world.correct(n)
        return world

    whole = grow(Failing.in_memory(), tmp_path / "whole")
    before = whole.objects.calls
    expected, contents = snapshot(whole.context).snapshot_id, whole.snapshots_bytes()
    writes = whole.objects.calls - before
    assert writes > 5
    for nth in range(1, writes + 1):
        objects = Failing.in_memory()
        world = grow(objects, tmp_path / str(nth))
        objects.fail_at, objects.late = objects.calls + nth, late
        with pytest.raises(StoreUnavailableError):
            snapshot(world.context)
        assert snapshot(world.context).snapshot_id == expected
        assert world.snapshots_bytes() == contents
        assert world.context.snapshots.latest().snapshot_id == expected


@pytest.mark.parametrize("old_pointer", [False, True], ids=["", "written before it knew its day"])
def test_a_key_of_a_wrong_clock_hides_nothing_that_comes_later(
    world: World, old_pointer: bool, caplog: pytest.LogCaptureFixture
) -> None:
    world.correct(1)
    world.context.corrections.put(
        correction(content_sha256(image(2))), png(image(2)), day="2031-01-01"
    )
    assert snapshot(world.context).corrections == 2
    assert "dt=2031-01-01" in caplog.text
    if old_pointer:
        pointer = json.loads(world.objects.get("snapshots/latest.json"))
        del pointer["day"]
        world.objects.put("snapshots/latest.json", json.dumps(pointer).encode())
    world.correct(3)
    assert snapshot(world.context).new_corrections == 1


def test_a_clock_that_is_a_day_ahead_is_no_news(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.context.corrections.put(
        correction(content_sha256(image(2))), png(image(2)), day="2026-11-03"
    )
    snapshot(world.context)
    assert "dt=" not in caplog.text


@pytest.mark.parametrize(
    "folder", ["dt=zzz", "dt=2026-13-01", "dt=20261103", "dt=", "dt=0000", "notes"]
)
def test_a_folder_that_is_no_day_is_passed_over(world: World, folder: str) -> None:
    stray = event_key(correction(content_sha256(image(9)))).replace("dt=2026-11-02", folder)
    world.objects.put(stray, b"{}")
    for n in range(3):
        world.correct(n)
        assert snapshot(world.context).new_corrections == 1
    assert snapshot(world.context, full=True).corrections == 3


def test_several_erasures_are_repeated_in_one_pass_over_the_shards(tmp_path: Path) -> None:
    reads: Counter[str] = Counter()

    class Counting(ObjectStore):
        def get(self, key: str, *, at_most: int | None = None) -> bytes:
            reads[key.rpartition("/")[2].partition(".")[0]] += 1
            return super().get(key, at_most=at_most)

    world = World(Counting.in_memory(), tmp_path)
    hashes = [world.correct(n) for n in range(20)]
    snapshot(world.context)
    for sha256 in hashes[:10]:
        world.store(review(sha256, "erase", at=world.now))
    reads.clear()
    data = world.context.snapshots.load(snapshot(world.context).snapshot_id)
    assert reads["manifest"] < 10
    assert set(data.image_sha256) == set(hashes[10:])
    assert world.objects.head(image_key(hashes[0])) is None


def test_an_id_that_claims_a_time_after_all_calendars_stops_nothing(world: World) -> None:
    shown = image(1)
    world.store(
        replace(
            correction(content_sha256(shown), "Hand"), id="ffffffff-ffff-7fff-bfff-ffffffffffff"
        ),
        shown,
    )
    manifest = world.context.snapshots.manifest(snapshot(world.context).snapshot_id)
    assert manifest.until == LATEST.isoformat(timespec="milliseconds")
    assert world.context.snapshots.load(manifest.snapshot_id).labels == ("Hand",)
