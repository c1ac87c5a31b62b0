"""Pictures with a known answer in the review queue, and what they say of the reviewer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.corrections_world import BaseDataset, World
from tests.events import correction, image, review, sha256_of

from medloop.core.corrections.correction_policy import Waiting
from medloop.core.corrections.fold import fold
from medloop.core.corrections.reliability import reliabilities
from medloop.jobs.review import people, picture, queue
from medloop.jobs.review import review as decide
from medloop.jobs.screen import screen
from medloop.jobs.snapshot import snapshot
from medloop.stores.objects import ObjectStore


class Datasets:
    """Sixty base images of three classes, each with a look of its own."""

    def get(self, dataset_id: str | None = None) -> BaseDataset:
        images = np.stack([image(5000 + n) for n in range(60)])
        return BaseDataset(
            labels=("CXR", "Hand", "HeadCT"),
            images=images,
            targets=np.arange(60) % 3,
            groups=np.arange(60),
        )


def world_with(folder: Path, **settings: object) -> World:
    made = World(ObjectStore.in_memory(), folder, review="all", **settings)
    made.context = replace(made.context, datasets=Datasets())
    return made


def split_queue(world: World, who: str = "rev") -> tuple[list[Waiting], list[Waiting]]:
    """(what really waits, honeypots)."""
    items = queue(world.context, who=who)
    return [i for i in items if i.known_label is None], [
        i for i in items if i.known_label is not None
    ]


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = world_with(tmp_path, honeypots=0.5)
    for n in range(24):
        made.correct(n, "Hand")
    return made


def test_none_come_unless_the_settings_say_so(tmp_path: Path) -> None:
    world = world_with(tmp_path)
    world.correct(1)
    assert len(queue(world.context, who="rev")) == 1


def test_they_are_mixed_in_as_often_as_set_and_look_like_anything_that_waits(world: World) -> None:
    real, honeypots = split_queue(world)
    assert len(real) == 24
    assert 5 <= len(honeypots) <= 19
    assert queue(world.context, who="rev") == queue(world.context, who="rev"), (
        "a page that is drawn again shows the same"
    )
    assert len(queue(world.context)) == 24, "whoever only counts sees what really waits"
    for item in honeypots:
        assert item.decision.verdict == "pending"
        assert item.decision.state.label == item.corrections[0].given_label
        assert picture(world.context, item).shape == (64, 64)
    assert {item.decision.state.label == item.known_label for item in honeypots} == {True, False}


def test_they_come_from_people_who_are_there_and_never_from_a_reviewer_who_signed_in(
    world: World,
) -> None:
    _, honeypots = split_queue(world)
    assert {item.corrections[0].who for item in honeypots} == {world.context.identify("ada")}
    settings = world.context.settings.model_copy(update={"oidc_issuer": "https://login.example"})
    world.context = replace(world.context, settings=settings)
    assert split_queue(world, who="ada")[1] == []
    assert len(split_queue(world)[1]) == len(honeypots)


def test_answers_count_for_the_reviewer_and_are_never_learned_from(world: World) -> None:
    _, honeypots = split_queue(world)
    right, wrong, left_out = honeypots[:3]
    decide(world.context, items=[right], verdict="relabel", label=right.known_label, who="rev")
    decide(world.context, items=[wrong], verdict="relabel", label=None, who="rev")
    decide(world.context, items=[left_out], verdict="reject", who="rev")
    world.context.sender.send_once()
    (found,) = [person for person in people(world.context) if person.who == "rev"]
    assert (found.answers, found.judged, found.right) == (0, 2, 1)
    assert {item.image_sha256 for item in split_queue(world)[1]} == {
        item.image_sha256 for item in honeypots[3:]
    }
    assert len(split_queue(world, who="another")[1]) == len(honeypots), "who has not been asked yet"
    data = world.context.snapshots.load(snapshot(world.context).snapshot_id)
    assert len(data.images) == 0
    assert not {item.image_sha256 for item in honeypots} & {
        d.state.image_sha256 for d in data.decisions
    }


def test_approving_is_an_answer_too(world: World) -> None:
    _, honeypots = split_queue(world)
    for item in honeypots:
        decide(world.context, items=[item], verdict="approve", who="careless")
    (found,) = [person for person in people(world.context) if person.who == "careless"]
    assert (found.judged, found.right) == (
        len(honeypots), sum(item.decision.state.label == item.known_label for item in honeypots)
    )  # fmt: skip


def test_trials_do_not_touch_what_is_known_of_an_image() -> None:
    said = [correction(sha256_of(1), "Hand")]
    tried = review(sha256_of(1), "trial", "CXR", who="ada", why="wrong")
    assert fold([*said, tried]) == fold(said)
    assert fold([tried]) == {}
    assert reliabilities([tried], [])[0].judged == 1


def test_corrections_of_who_is_often_wrong_wait_and_others_do_not(tmp_path: Path) -> None:
    world = World(ObjectStore.in_memory(), tmp_path, least_reliability=0.5)
    for n in range(12):
        for who, outcome in (
            ("bad", "wrong" if n % 2 else "right"),
            ("good", "right"),
            ("new", "wrong"),
        ):
            if who != "new" or n < 3:
                world.store(review(sha256_of(n), "trial", "CXR", who=who, why=outcome))
    wrong = world.correct(1, who="bad")
    world.correct(2, who="good")
    world.correct(3, who="new")
    world.correct(4, who="bad")
    seconded = world.correct(4, who="good")
    flagged = screen(world.context).flagged
    assert flagged == {wrong: ("this person was often wrong where the answer is known",)}
    assert seconded not in flagged
