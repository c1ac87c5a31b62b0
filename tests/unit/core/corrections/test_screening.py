from itertools import pairwise

import numpy as np
import pytest
from tests.events import image

from medloop.core.corrections.holdout import TWIN, shapes
from medloop.core.corrections.screening import (
    careless,
    contradicted,
    look_alikes,
    outvoted,
)

LOOKS = shapes(np.stack([image(seed) for seed in range(40)]))
TWIN_OF_0 = shapes((image(0)[None] * 0.9 + 10).astype(np.uint8))


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("Hand", ""),
        ("CXR", "nearly the same picture is known as Hand"),
        (None, "nearly the same picture is known as Hand"),
    ],
)
def test_a_look_alike_with_another_label_is_a_reason(label: str | None, reason: str) -> None:
    assert look_alikes(TWIN_OF_0, [label], index=LOOKS, index_labels=["Hand"] * 40) == [reason]


def test_images_that_look_like_nothing_known_give_no_reason() -> None:
    fresh = shapes(np.stack([image(seed) for seed in range(100, 150)]))
    assert look_alikes(fresh, ["CXR"] * 50, index=LOOKS, index_labels=["Hand"] * 40) == [""] * 50
    assert look_alikes(fresh, ["CXR"] * 50, index=LOOKS[:0], index_labels=[]) == [""] * 50


def test_an_image_is_not_its_own_look_alike_but_its_copy_is() -> None:
    both = np.concatenate([LOOKS[:1], TWIN_OF_0])
    found = look_alikes(both, ["Hand", None], index=both, index_labels=["Hand", None])
    assert found == [
        "nearly the same picture is known as none of these",
        "nearly the same picture is known as Hand",
    ]


def test_a_closer_copy_with_the_same_label_hides_no_look_alike_with_another() -> None:
    given = shapes(np.stack([image(0), np.minimum(image(0), 254) + 1]).astype(np.uint8))
    known = np.concatenate([given, TWIN_OF_0, LOOKS[1:]])
    found = look_alikes(
        given, ["CXR", "CXR"], index=known, index_labels=["CXR", "CXR", *["Hand"] * 40]
    )
    assert found == ["nearly the same picture is known as Hand"] * 2


def test_of_several_look_alikes_with_other_labels_the_closest_is_named() -> None:
    farther = shapes(
        np.clip(image(0) + np.random.default_rng(0).normal(0, 25, (1, 64, 64)), 0, 255).astype(
            np.uint8
        )
    )
    assert TWIN < (farther @ LOOKS[0])[0] < (TWIN_OF_0 @ LOOKS[0])[0]
    for index, labels in (
        ((farther, TWIN_OF_0), ("HeadCT", "Hand")),
        ((TWIN_OF_0, farther), ("Hand", "HeadCT")),
    ):
        assert look_alikes(
            LOOKS[:1], ["CXR"], index=np.concatenate(index), index_labels=labels
        ) == ["nearly the same picture is known as Hand"]


CLASSES = ("CXR", "Hand", "HeadCT")


def eyes(direction: int, n: int, *, seed: int = 0) -> np.ndarray:
    """n embeddings near one direction."""
    rng = np.random.default_rng([seed, direction])
    found = np.eye(8)[[direction] * n] + rng.normal(0, 0.01, (n, 8))
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def moved(pixels: np.ndarray, x: int, y: int) -> np.ndarray:
    """The picture, moved by some pixels, with its edge repeated."""
    return np.pad(pixels, 8, mode="edge")[8 - y : 72 - y, 8 - x : 72 - x]


def against(
    label: str | None,
    *,
    batch: list[str | None],
    sure: float = 0.98,
    where: int = 0,
    pictures: list[np.ndarray] | None = None,
    people: list[str | None] | None = None,
) -> str:
    """What is found against one correction of an image that the champion calls CXR, beside others
    of its scanner.
    """
    n = 1 + len(batch)
    probabilities = np.array([[sure, (1 - sure) / 2, (1 - sure) / 2]] * n)
    own = eyes(where, n)
    base = np.concatenate([eyes(0, 20, seed=1), eyes(1, 20, seed=1)])
    labels = [label, *batch]
    reasons = contradicted(
        probabilities,
        own,
        labels,
        classes=CLASSES,
        index=np.concatenate([own, base]),
        index_labels=[*labels, *["CXR"] * 20, *["Hand"] * 20],
        pictures=np.stack(pictures or [image(seed) for seed in range(n)]),
        people=people or ["ada"] * n,
    )
    return reasons[0]


def test_a_label_that_the_champion_excludes_and_no_similar_picture_bears_is_a_reason() -> None:
    assert (
        against("Hand", batch=[])
        == "the champion excludes Hand, and 10 of the 10 pictures most like this one are CXR"
    )


def test_corrections_of_a_new_scanner_vouch_for_each_other() -> None:
    assert against("Hand", batch=["Hand"] * 3) == ""
    assert against("Hand", batch=["Hand"] * 12, where=5) == ""


@pytest.mark.parametrize(
    "copy",
    [
        moved(image(0), 1, 0),
        moved(image(0), -2, 1),
        moved(image(0), 4, -4),
        np.minimum(image(0), 254) + 1,
        np.clip(
            image(0) * 0.8 + 20 + np.random.default_rng(0).normal(0, 8, (64, 64)), 0, 255
        ).astype(np.uint8),
    ],
    ids=["a pixel aside", "further", "furthest", "a grey level brighter", "paler, with noise"],
)
def test_near_copies_by_the_same_person_do_not_vouch_for_each_other(copy: np.ndarray) -> None:
    pictures = [image(0), copy, copy.copy()]
    assert against("Hand", batch=["Hand"] * 2, pictures=pictures)
    assert (
        against("Hand", batch=["Hand"] * 2, pictures=pictures, people=["ada", "ada", "bob"]) == ""
    )
    assert (
        against("Hand", batch=["Hand"] * 2, pictures=pictures, people=["ada", "ada", None]) == ""
    ), "a reviewer's"


def test_slices_of_a_volume_vouch_for_each_other_each_nearly_the_next_one() -> None:
    slices = [
        np.asarray(image(0) * (1 - share) + image(1) * share).astype(np.uint8)
        for share in np.linspace(0, 1, 12)
    ]
    looks = shapes(np.stack(slices))
    assert all(one @ following >= TWIN for one, following in pairwise(looks))
    assert against("Hand", batch=["Hand"] * 11, pictures=slices) == ""


@pytest.mark.parametrize("label", ["CXR", "Knee", None])
def test_a_champion_contradicts_no_label_that_it_gives_or_does_not_know(label: str | None) -> None:
    assert against(label, batch=[]) == ""


def test_a_champion_that_thinks_the_label_possible_contradicts_nothing() -> None:
    assert against("Hand", batch=[], sure=0.8) == ""


def test_pictures_that_the_champion_confuses_contradict_nothing() -> None:
    assert against("HeadCT", batch=[], where=1) == "", (
        "its neighbours are hands, which the champion does not see"
    )


def voted(label: str, *, mine: list[str], others: list[str], where: int = 5) -> str:
    """What is found against one person's correction, beside corrections of its scanner by that
    person and by others.
    """
    labels = [label, *mine, *others]
    people = ["me"] * (1 + len(mine)) + [f"other {i}" for i in range(len(others))]
    own = eyes(where, len(labels))
    index = np.concatenate([own, eyes(0, 20, seed=1)])
    return outvoted(
        own[:1],
        [label],
        index=index,
        index_labels=[*labels, *["CXR"] * 20],
        index_people=[*people, *[""] * 20],
    )[0]


def test_others_corrections_of_a_scanner_outvote_one_persons_own() -> None:
    reason = "other people say CXR of 4 of the pictures most like this one"
    assert voted("Hand", mine=[], others=["CXR"] * 4) == reason
    assert voted("Hand", mine=["Hand"] * 6, others=["CXR"] * 4) == reason
    assert not voted("CXR", mine=[], others=["CXR"] * 4)


@pytest.mark.parametrize(
    ("others", "where"),
    [
        ([], 5),
        (["CXR"] * 2, 5),
        (["CXR", "HeadCT", "CXR", "HeadCT"], 5),
        (["CXR", "CXR", "Hand", "Hand"], 5),
    ],
)
def test_nothing_is_outvoted_by_too_few_nor_by_people_who_do_not_agree(
    others: list[str], where: int
) -> None:
    assert not voted("Hand", mine=["Hand"] * 6, others=others, where=where)


def test_base_pictures_have_no_vote() -> None:
    assert not voted("Hand", mine=[], others=["Hand"], where=0)


def test_who_is_contradicted_far_more_often_than_everybody_else_is_found() -> None:
    people = ["ada"] * 20 + ["bob"] * 20 + ["eve"] * 15
    contradicted_ = [False] * 19 + [True] + [False] * 20 + [True] * 10 + [False] * 5
    assert careless(people, contradicted_) == {"eve"}


@pytest.mark.parametrize(
    ("bad", "n", "rest_bad", "rest"),
    [
        (10, 10, 0, 0),  # nobody to compare with
        (2, 2, 0, 40),  # too few to tell
        (5, 40, 0, 400),  # significant, but seldom
        (10, 20, 150, 400),  # everybody is contradicted: a new scanner
    ],
)
def test_nobody_is_found_where_others_do_no_better_or_too_little_is_known(
    bad: int, n: int, rest_bad: int, rest: int
) -> None:
    people = ["eve"] * n + ["somebody else"] * rest
    against_ = [True] * bad + [False] * (n - bad) + [True] * rest_bad + [False] * (rest - rest_bad)
    assert careless(people, against_) == set()


def test_what_several_people_say_counts_for_none_of_them() -> None:
    assert careless([None] * 10 + ["ada"] * 40, [True] * 10 + [False] * 40) == set()
