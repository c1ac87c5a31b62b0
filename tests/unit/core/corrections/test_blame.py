"""Who is to blame: people whose corrections move a stand-in model away from trusted pictures."""

from __future__ import annotations

import numpy as np
import pytest

from medloop.core.corrections.blame import Blame, Embedded, blame

CLASSES, DIMENSIONS = 4, 24
CENTRES = np.random.default_rng(99).normal(0, 1.5, (CLASSES, DIMENSIONS))
ELSEWHERE = np.random.default_rng(98).normal(0, 0.7, DIMENSIONS)  # what a new scanner changes


def pictures(seed: int, n: int, *, shift: np.ndarray | float = 0.0) -> Embedded:
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, CLASSES, n)
    noise = rng.normal(0, 1, (n, DIMENSIONS))
    return Embedded(CENTRES[targets] + shift + noise, targets)


def joined(*parts: Embedded) -> Embedded:
    return Embedded(
        np.concatenate([part.embeddings for part in parts]),
        np.concatenate([part.targets for part in parts]),
    )


def poison(n: int) -> Embedded:
    """Pictures of the first class that are called the second."""
    part = pictures(4, n * 2 * CLASSES)
    return Embedded(part.embeddings[part.targets == 0][:n], np.ones(n, np.int64))


def judge(corrections: Embedded, people: list[str]) -> Blame:
    trusted = pictures(2, 600)
    return blame(
        pictures(1, 1500),
        trusted,
        np.arange(len(trusted.targets)),
        corrections,
        [frozenset(who.split()) for who in people],
    )


def honest(seed: int) -> tuple[Embedded, list[str]]:
    people = np.random.default_rng(seed).choice(["ada", "bob", "cem", "dee", "eli"], 150)
    return pictures(seed, 150, shift=ELSEWHERE), people.tolist()


@pytest.mark.parametrize("seed", range(10, 20))
def test_nobody_is_named_in_an_honest_week_of_a_new_scanner(seed: int):
    assert not judge(*honest(seed)).people


@pytest.mark.parametrize("backers", [["eve"], ["eve", "mallory", "trent"], ["eve mallory"]])
def test_one_person_a_clique_and_two_who_vouch_for_each_other_are_named(backers: list[str]):
    good, people = honest(3)
    bad = poison(120)
    given = [backers[i % len(backers)] for i in range(120)]
    found = judge(joined(good, bad), people + given)
    assert found.people == set(" ".join(backers).split())
    assert found.loss_without < found.loss


def test_what_a_reviewer_approved_is_never_anybodys_fault():
    good, people = honest(3)
    assert not judge(joined(good, poison(120)), people + [""] * 120).people


def test_who_agrees_with_others_keeps_what_they_vouch_for():
    good, people = honest(3)
    bad = poison(120)
    shared = pictures(5, 40, shift=ELSEWHERE)
    found = judge(joined(good, bad, shared), people + ["eve"] * 120 + ["ada eve"] * 40)
    assert found.people == {"eve"}


def test_no_corrections_are_nobodys_fault():
    nothing = Embedded(np.zeros((0, DIMENSIONS)), np.zeros(0, np.int64))
    assert judge(nothing, []).people == frozenset()


def test_none_of_these_said_of_ordinary_pictures_is_found():
    good, people = honest(3)
    part = pictures(4, 200)
    bad = Embedded(part.embeddings, np.full(200, -1))
    assert judge(joined(good, bad), people + ["eve"] * 200).people == {"eve"}
