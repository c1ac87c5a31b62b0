"""Whatever lies in the bucket, learning goes on, and what is left out is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.corrections_world import World
from tests.events import START, correction, image, new_id, png, review
from tests.mutated_events import mutated, review_body

from medloop.core.corrections.events import Promotion, event_key, image_key
from medloop.core.corrections.signatures import SigningKeys
from medloop.core.imaging.decode import content_sha256
from medloop.errors import StoreError
from medloop.jobs.erase import erase
from medloop.jobs.history import read_history
from medloop.jobs.review import queue
from medloop.jobs.screen import screened_snapshot
from medloop.jobs.snapshot import describe_left_out, gather, snapshot
from medloop.stores.objects import ObjectStore
from medloop.stores.signatures import UNSIGNED

KEYS = SigningKeys(review=b"of the page", erasure=b"of the operator")
PAGE = SigningKeys(review=b"of the page")
DAY = "2026-11-02"


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(ObjectStore.in_memory(), tmp_path, keys=KEYS)
    world.context.signatures.begin()
    return world


def promotion(version: str) -> Promotion:
    return Promotion(
        id=new_id(),
        at=START.isoformat(),
        model="m",
        action="promote",
        from_version=None,
        to_version=version,
        by="ada",
        reason="better",
    )


def labels(world: World) -> dict[str, str | None]:
    data = world.context.snapshots.load(screened_snapshot(world.context)[0].snapshot_id)
    return dict(zip(data.image_sha256, data.labels, strict=True))


def flood(world: World, count: int) -> None:
    """Real corrections, and `count` objects beside them by somebody with the page's S3 key."""
    real = [world.correct(n, "Hand") for n in range(8)]
    victims = [content_sha256(image(n)) for n in range(100, 104)]
    for n in range(100, 104):
        world.objects.put(image_key(content_sha256(image(n))), png(image(n)))
    signed = world.context.signatures.sign(review(real[7], "reject"))
    world.store(signed)
    for key, raw in mutated(count, [*real, *victims]):
        world.objects.put(key, raw)
    taken, _ = screened_snapshot(world.context)
    events = world.context.snapshots.all_events(world.context.snapshots.latest())
    listed = [i.key for folder in ("corrections", "reviews") for i in world.objects.list(folder)]
    assert len(listed) == len(events) + len(taken.left_out), "each is taken in or named"
    assert len(taken.left_out) > count / 2
    assert [event.id for event in events if hasattr(event, "action")] == [signed.id]
    world.correct(50, "CXR")
    assert labels(world)[content_sha256(image(50))] == "CXR", "learning goes on"
    assert f"{len(taken.left_out)} objects are left out" in describe_left_out(taken.left_out)


def test_a_flood_of_mutated_objects_stops_nothing(world: World) -> None:
    flood(world, 2_000)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_hundred_thousand_mutated_objects_stop_nothing(world: World) -> None:
    flood(world, 100_000)


@pytest.mark.parametrize("action", ["erase", "relabel", "approve", "reject", "withdraw", "flag"])
def test_a_forged_review_is_not_obeyed(world: World, action: str) -> None:
    said = world.correct(1, "Hand", who="ada")
    body = {**review_body(said, action), "who": "ada"}
    key = f"reviews/dt={DAY}/{body['id']}.json"
    for signature in ({}, {"signature": "0" * 64}):
        world.objects.put(key, json.dumps({**body, **signature}, sort_keys=True).encode())
        assert gather(world.context).left_out == {key: UNSIGNED}
        assert labels(world) == {said: "Hand"}
        assert read_history(world.context).states[said].status == "unreviewed"
    assert world.objects.head(image_key(said)) is not None


def test_what_the_page_signs_and_what_the_operator_erases_is_obeyed(
    world: World, tmp_path: Path
) -> None:
    kept, gone = world.correct(1, "Hand"), world.correct(2, "Hand")
    page = World(world.objects, tmp_path / "page", keys=PAGE)
    page.context.outbox.add_review(review(kept, "relabel", "CXR", at=page.now))
    assert page.context.sender.send_once().sent == 1
    erase(world.context, image_sha256=gone, who="dpo")
    assert labels(world) == {kept: "CXR"}
    assert read_history(page.context).states[gone].status == "erased"
    assert queue(page.context) == []


def test_the_page_is_not_told_that_it_erased_what_nobody_would_obey(
    world: World, tmp_path: Path
) -> None:
    page = World(world.objects, tmp_path / "page", keys=PAGE)
    with pytest.raises(StoreError, match="MEDLOOP_ERASURE_KEY"):
        erase(page.context, image_sha256=world.correct(1), who="eve")


def test_a_snapshot_is_not_taken_without_the_keys(world: World, tmp_path: Path) -> None:
    for keys in (PAGE, SigningKeys()):
        with pytest.raises(StoreError, match="MEDLOOP_ERASURE_KEY"):
            snapshot(World(world.objects, tmp_path / "other", keys=keys).context)


def test_reviews_from_before_there_were_signatures_stay_obeyed(tmp_path: Path) -> None:
    old = World(ObjectStore.in_memory(), tmp_path / "old")
    relabelled, erased, disputed = (old.correct(n, "Hand") for n in (1, 2, 3))
    old.store(review(relabelled, "relabel", "CXR", at=old.now))
    snapshot(old.context)
    erase(old.context, image_sha256=erased, who="dpo")
    new = World(old.objects, tmp_path / "new", keys=KEYS)
    new.now = old.now
    assert labels(new) == {relabelled: "CXR", disputed: "Hand"}
    late = review(disputed, "relabel", "CXR", at=new.now)
    new.objects.put(event_key(late), late.to_json())
    (key,) = screened_snapshot(new.context, full=True)[0].left_out
    assert key == event_key(late)
    assert labels(new) == {relabelled: "CXR", disputed: "Hand"}, "also where all is read anew"
    kept_key = next(i.key for i in new.objects.list("reviews") if i.key != key)
    forged = json.loads(new.objects.get(kept_key)) | {"label": "Hand", "action": "relabel"}
    new.objects.put(kept_key, json.dumps(forged, sort_keys=True).encode())
    assert screened_snapshot(new.context, full=True)[0].left_out.keys() == {key, kept_key}


def test_nobody_asks_for_signatures_where_there_are_no_keys(tmp_path: Path) -> None:
    world = World(ObjectStore.in_memory(), tmp_path)
    said = world.correct(1, "Hand")
    world.store(review(said, "relabel", "CXR", at=world.now))
    assert labels(world) == {said: "CXR"}
    assert world.objects.head("snapshots/unsigned.json") is None


def test_a_second_object_under_an_id_does_not_hide_the_first(world: World) -> None:
    said = world.correct(1, "Hand")
    (first,) = (info.key for info in world.objects.list("corrections"))
    for folder, day in (("reviews", DAY), ("corrections", "2026-11-01")):
        key = first.replace("corrections", folder).replace(DAY, day)
        world.objects.put(key, world.objects.get(first).replace(b'"Hand"', b'"CXR"'))
    assert len(gather(world.context).left_out) == 2
    assert labels(world) == {said: "Hand"}


def test_a_whole_event_is_learned_when_its_object_is_whole_again(world: World) -> None:
    said = world.correct(1, "Hand")
    (key,) = (info.key for info in world.objects.list("corrections"))
    whole = world.objects.get(key)
    world.objects.put(key, whole[:40])
    world.correct(2, "CXR")
    assert said not in labels(world)
    world.pass_days(40)
    world.correct(3, "CXR")
    assert said not in labels(world)
    world.objects.put(key, whole)
    assert labels(world)[said] == "Hand"


def test_a_snapshot_with_something_bad_is_repaired_by_a_full_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a version before the check took it in."""
    said = world.correct(1, "Hand")
    bad = correction(content_sha256(image(2)), "Hand")
    world.objects.put(event_key(bad), b"[" * 1000)
    with monkeypatch.context() as before:
        before.setattr("medloop.jobs.snapshot._why_left_out", lambda *_: "")
        before.setattr("medloop.jobs.snapshot._leave_out_without_image", lambda *_: None)
        assert snapshot(world.context).corrections == 2
    assert world.context.snapshots.latest().corrections == 2
    taken = snapshot(world.context, full=True)
    assert (taken.corrections, list(taken.left_out)) == (1, [event_key(bad)])
    assert world.context.snapshots.latest().snapshot_id == taken.snapshot_id
    assert labels(world) == {said: "Hand"}


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"{}", b"[" * 5000, None])
@pytest.mark.parametrize("part", ["events", "images", "manifest", "latest"])
def test_a_full_snapshot_repairs_whatever_is_damaged(
    world: World, part: str, damage: bytes | None
) -> None:
    said, gone = world.correct(1, "Hand"), world.correct(2, "Hand")
    erase(world.context, image_sha256=gone, who="dpo")
    before = snapshot(world.context).snapshot_id
    for info in list(world.objects.list("snapshots")):
        if part in info.key:
            raw = world.objects.get(info.key)
            world.objects.put(info.key, raw[: len(raw) // 2] if damage is None else damage)
    world.correct(3, "CXR")
    said_how = said_of_damage(world)
    assert "medloop snapshot --full" in said_how or said_how == "nothing noticed"
    after = snapshot(world.context, full=True)
    assert len(world.context.snapshots.load(after.snapshot_id).images) == 2
    assert snapshot(world.context).snapshot_id == after.snapshot_id
    assert labels(world)[said] == "Hand"
    assert before != after.snapshot_id


def said_of_damage(world: World) -> str:
    try:
        world.context.snapshots.load(snapshot(world.context).snapshot_id)
    except StoreError as error:
        return str(error)
    return "nothing noticed"  # where what is damaged was not needed


def test_names_cannot_break_the_line_that_names_them() -> None:
    line = describe_left_out({"corrections/\x1b[2J\n\u202e.json": "no\nkey"})
    assert line.isascii()
    assert line.isprintable()
    many = describe_left_out({f"corrections/{n}": "x" for n in range(1000)})
    assert "1000 objects are left out" in many
    assert len(many) < 1000


def test_a_forged_move_of_an_alias_is_not_believed(world: World, tmp_path: Path) -> None:
    old = World(ObjectStore.in_memory(), tmp_path / "old")
    old.context.ledger.append(promotion("1"))
    new = World(old.objects, tmp_path / "new", keys=KEYS)
    new.context.signatures.begin()
    new.context.ledger.append(promotion("2"))
    forged = promotion("3")
    new.objects.put(event_key(forged), forged.to_json())
    moves, left_out = new.context.ledger.read()
    assert [move.to_version for move in moves] == ["1", "2"]
    assert left_out == {event_key(forged): UNSIGNED}
    page = World(old.objects, tmp_path / "page", keys=PAGE)
    page.context.ledger.append(promotion("4"))
    assert [move.to_version for move in page.context.ledger.entries()] == ["1", "2", "4"]


def test_a_flood_is_read_once_per_process(tmp_path: Path) -> None:
    """A page draws the review queue again and again."""
    read: list[str] = []

    class Counting(ObjectStore):
        def find(self, key: str, *, at_most: int | None = None) -> bytes | None:
            read.append(key)
            return super().find(key, at_most=at_most)

    world = World(Counting.in_memory(), tmp_path)
    bad = event_key(correction(content_sha256(image(1))))
    world.objects.put(bad, b"[")
    for _ in range(3):
        assert bad in gather(world.context).left_out
    assert read.count(bad) == 1
    world.objects.put(bad, b"[]")
    assert bad in gather(world.context).left_out
    assert read.count(bad) == 2


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"events": 3}', b"[" * 5000])
def test_a_damaged_list_of_older_reviews_is_said_so(
    world: World, tmp_path: Path, raw: bytes
) -> None:
    said = world.correct(1)
    world.objects.put("snapshots/unsigned.json", raw)
    other = World(world.objects, tmp_path / "other", keys=KEYS)
    with pytest.raises(StoreError, match="restore it, or delete it"):
        other.context.signatures.begin()
    world.objects.delete("snapshots/unsigned.json")
    assert labels(other) == {said: "Hand"}
