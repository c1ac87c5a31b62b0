"""The table of docs/s3-layout.md, row by row, and that nothing depends on the order of arrival or
on repetition.
"""

import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.events import START, correction, review, sha256_of

from medloop.core.corrections.correction_policy import Policy, decide
from medloop.core.corrections.fold import Event, ImageState, fold, fold_image

IMAGE = sha256_of(1)


def said(who: str, label: str | None) -> Event:
    return correction(IMAGE, label, who=who)


def did(action: str, label: str | None = None, who: str = "rev", why: str = "") -> Event:
    return review(IMAGE, action, label, who=who, why=why)


ROWS = [
    ("one answer", [said("ada", "Hand")], "unreviewed", "Hand"),
    ("none of these is an answer", [said("ada", None)], "unreviewed", None),
    ("people agree", [said("ada", "Hand"), said("bob", "Hand")], "unreviewed", "Hand"),
    ("people disagree", [said("ada", "Hand"), said("bob", "CXR")], "conflict", None),
    ("disagreement with none of these", [said("ada", "Hand"), said("bob", None)], "conflict", None),
    (
        "a person's last answer counts",
        [said("ada", "Hand"), said("ada", "CXR")],
        "unreviewed",
        "CXR",
    ),
    (
        "a changed answer ends a conflict",
        [said("ada", "Hand"), said("bob", "CXR"), said("ada", "CXR")],
        "unreviewed",
        "CXR",
    ),
    ("withdrawn", [said("ada", "Hand"), did("withdraw", who="ada")], "withdrawn", None),
    (
        "withdrawn by somebody else",
        [said("ada", "Hand"), did("withdraw", who="bob")],
        "unreviewed",
        "Hand",
    ),
    (
        "said again after the withdrawal",
        [said("ada", "Hand"), did("withdraw", who="ada"), said("ada", "CXR")],
        "unreviewed",
        "CXR",
    ),
    (
        "withdrawal ends a conflict",
        [said("ada", "Hand"), said("bob", "CXR"), did("withdraw", who="bob")],
        "unreviewed",
        "Hand",
    ),
    ("approved", [said("ada", "Hand"), did("approve")], "approved", "Hand"),
    (
        "a conflict cannot be approved",
        [said("ada", "Hand"), said("bob", "CXR"), did("approve")],
        "conflict",
        None,
    ),
    ("approved with nothing to approve", [did("approve")], "withdrawn", None),
    (
        "approved, then withdrawn by the person",
        [said("ada", "Hand"), did("approve"), did("withdraw", who="ada")],
        "withdrawn",
        None,
    ),
    (
        "an answer after the approval does not undo it",
        [said("ada", "Hand"), did("approve"), said("bob", "CXR")],
        "approved",
        "Hand",
    ),
    ("relabelled", [said("ada", "Hand"), did("relabel", "CXR")], "approved", "CXR"),
    ("relabelled as none of these", [said("ada", "Hand"), did("relabel", None)], "approved", None),
    (
        "a conflict is relabelled",
        [said("ada", "Hand"), said("bob", "CXR"), did("relabel", "CXR")],
        "approved",
        "CXR",
    ),
    (
        "the last decision counts",
        [said("ada", "Hand"), did("relabel", "CXR"), did("reject", who="other")],
        "rejected",
        None,
    ),
    (
        "a reviewer takes the decision back",
        [said("ada", "Hand"), did("reject"), did("withdraw")],
        "unreviewed",
        "Hand",
    ),
    ("rejected", [said("ada", "Hand"), did("reject")], "rejected", None),
    (
        "the rejected answer again",
        [said("ada", "Hand"), did("reject"), said("bob", "Hand")],
        "rejected",
        None,
    ),
    (
        "another answer after a rejection",
        [said("ada", "Hand"), did("reject"), said("bob", "CXR")],
        "unreviewed",
        "CXR",
    ),
    (
        "another answer after a rejection, flagged",
        [said("ada", "Hand"), did("reject"), said("bob", "CXR"), did("flag")],
        "unreviewed",
        "CXR",
    ),
    ("erased", [said("ada", "Hand"), did("approve"), did("erase")], "erased", None),
    (
        "erased stays erased",
        [did("erase"), said("ada", "Hand"), did("relabel", "CXR")],
        "erased",
        None,
    ),
    (
        "flagged",
        [said("ada", "Hand"), did("flag", why="unlike its neighbours")],
        "unreviewed",
        "Hand",
    ),
]


def alone(who: str = "ada", **changes: object) -> Event:
    """Call an image a Hand that the model was confident to be a CXR."""
    return correction(IMAGE, "Hand", who=who, **{"by_reviewer": False, **changes})


@pytest.mark.parametrize(
    ("events", "verdict"),
    [
        ([alone()], "pending"),
        ([alone(), alone("bob")], "accepted"),
        ([alone(), did("approve")], "accepted"),
        ([alone(by_reviewer=True)], "accepted"),
        ([alone(by_reviewer=None)], "accepted"),  # of a version that did not record it
        ([alone(verdict="unsure")], "accepted"),
        ([alone(predicted_label="Hand")], "accepted"),
        ([alone(verdict="unsure"), did("doubt", why="unlike its neighbours")], "pending"),
        ([alone(verdict="unsure"), did("doubt", why="unlike"), alone("bob")], "accepted"),
        ([alone(verdict="unsure"), did("flag", why="unlike"), alone("bob")], "pending"),
    ],
)
def test_one_word_against_a_confident_answer_waits(events: list[Event], verdict: str) -> None:
    state = fold_image(IMAGE, events)
    assert [d.verdict for d in decide([state], Policy(second_word=True))] == [verdict]


def test_what_waits_for_a_second_word_says_what_it_contradicts() -> None:
    (decision,) = decide([fold_image(IMAGE, [alone()])], Policy(second_word=True))
    confident = "version 1 was confident of CXR"
    assert decision.reasons == (f"{confident}: a second person or a reviewer has to agree",)
    (before,) = decide([fold_image(IMAGE, [alone()])], Policy())
    assert before.verdict == "accepted"


@pytest.mark.parametrize(
    ("events", "status", "label"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_the_table(events: list[Event], status: str, label: str | None) -> None:
    state = fold_image(IMAGE, events)
    assert (state.status, state.label) == (status, label)


def test_a_state_says_who_why_and_by_which_events() -> None:
    first, second = said("ada", "Hand"), said("bob", "CXR")
    state = fold_image(IMAGE, [first, second, did("relabel", "CXR", who="eve", why="looked twice")])
    assert state == ImageState(
        IMAGE, "approved", label="CXR", who=("bob",), answers=(("ada", "Hand"), ("bob", "CXR")),
        event_ids=(first.id, second.id), decided_by="eve", why="looked twice",
    )  # fmt: skip
    assert fold_image(IMAGE, [first, did("flag", why="b"), did("flag", why="a")]).flags == (
        "a",
        "b",
    )
    assert (
        "disputed since by 1" in fold_image(IMAGE, [first, did("approve"), said("bob", "CXR")]).why
    )


def test_a_flag_stands_only_against_what_was_said_after_a_rejection() -> None:
    events = [said("ada", "Hand"), did("flag", why="old"), did("reject"), said("bob", "CXR")]
    assert fold_image(IMAGE, events).flags == ()
    flagged = [*events, did("flag", why="unlike its neighbours")]
    assert fold_image(IMAGE, flagged).flags == ("unlike its neighbours",)
    assert verdicts(flagged, Policy("suspicious")) == {
        IMAGE: ("pending", ("unlike its neighbours",))
    }


PEOPLE, LABELS = st.sampled_from("abc"), st.sampled_from(["Hand", "CXR", None])
ACTIONS = st.sampled_from(["approve", "reject", "relabel", "withdraw", "erase", "flag"])
ACTS = st.one_of(
    st.tuples(st.just("said"), PEOPLE, LABELS, st.integers(0, 2)),
    st.tuples(ACTIONS, PEOPLE, LABELS, st.integers(0, 2)),
)


@given(st.lists(ACTS, max_size=30), st.randoms(use_true_random=False))
def test_any_order_of_arrival_and_any_repetition_give_the_same_state(
    acts, chance: random.Random
) -> None:
    events: list[Event] = [
        correction(sha256_of(n), label, who=who)
        if act == "said"
        else review(sha256_of(n), act, label, who=who)
        for act, who, label, n in acts
    ]
    arrived = events + [chance.choice(events) for _ in range(len(events))] if events else []
    chance.shuffle(arrived)
    states = fold(events)
    assert fold(arrived) == states
    assert all(
        state.status in ("conflict", "unreviewed", "approved")
        for state in states.values()
        if state.who
    )
    for policy in (
        Policy("trust"),
        Policy("all"),
        Policy("suspicious", max_per_person=1, max_share=0.4),
        Policy("suspicious", max_share=0.4, share_allowance=1),
    ):
        decisions = decide(states.values(), policy)
        assert decide(reversed(list(states.values())), policy) == decisions
        assert not any(d.state.status == "erased" for d in decisions)
        assert not any(
            d.verdict == "accepted"
            for d in decisions
            if d.state.status in ("conflict", "rejected", "withdrawn")
        )


@given(st.lists(ACTS, max_size=30))
def test_the_newest_flag_of_an_undecided_image_makes_it_wait(acts) -> None:
    events: list[Event] = [
        said(who, label) if act == "said" else did(act, label, who=who)
        for act, who, label, _ in acts
    ]
    before = fold_image(IMAGE, events)
    after = fold_image(IMAGE, [*events, did("flag", who="screening", why="newest")])
    if before.status in ("unreviewed", "conflict"):
        assert "newest" in after.flags
        assert (
            verdicts([*events, did("flag", who="screening", why="newest")], Policy("suspicious"))[
                IMAGE
            ][0]
            == "pending"
        )
    else:
        assert (after.status, after.label) == (before.status, before.label)


def verdicts(events: list[Event], policy: Policy) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {
        d.state.image_sha256: (d.verdict, d.reasons) for d in decide(fold(events).values(), policy)
    }


def test_the_modes_differ_in_what_waits_for_a_reviewer() -> None:
    plain, flagged = said("ada", "Hand"), did("flag", why="unlike its neighbours")
    assert verdicts([plain], Policy("trust")) == {IMAGE: ("accepted", ())}
    assert verdicts([plain], Policy("suspicious")) == {IMAGE: ("accepted", ())}
    assert verdicts([plain], Policy("all"))[IMAGE][0] == "pending"
    assert verdicts([plain, flagged], Policy("trust"))[IMAGE][0] == "accepted"
    assert verdicts([plain, flagged], Policy("suspicious")) == {
        IMAGE: ("pending", ("unlike its neighbours",))
    }
    for mode in ("trust", "all", "suspicious"):
        assert verdicts([plain, flagged, did("approve")], Policy(mode))[IMAGE][0] == "accepted"
        assert verdicts([plain, said("bob", "CXR")], Policy(mode))[IMAGE][0] == "pending"
        assert verdicts([plain, did("reject", why="blurred")], Policy(mode)) == {
            IMAGE: ("rejected", ("blurred",))
        }
        assert verdicts([plain, did("erase")], Policy(mode)) == {}


def test_beyond_a_persons_daily_limit_corrections_wait() -> None:
    policy = Policy("suspicious", max_per_person=2)
    today = [correction(sha256_of(n), who="ada") for n in range(4)]
    tomorrow = correction(sha256_of(9), who="ada", at=START + timedelta(days=1))
    somebody = correction(sha256_of(8), who="bob")
    seconded = correction(sha256_of(3), who="bob")
    found = verdicts([*today, tomorrow, somebody, seconded], policy)
    waiting = {sha256 for sha256, (verdict, _) in found.items() if verdict == "pending"}
    assert waiting == {sha256_of(2)}, "the third of ada's; the fourth is seconded by bob"
    assert found[sha256_of(2)][1] == ("more than 2 unreviewed corrections of one person that day",)
    assert {v for v, _ in verdicts(today, Policy("trust", max_per_person=2)).values()} == {
        "accepted"
    }


def test_beyond_a_persons_share_of_what_is_learned_the_latest_corrections_wait() -> None:
    ada = [correction(sha256_of(n), who="ada") for n in range(6)]
    others = [correction(sha256_of(10 + n), who=f"person {n}") for n in range(3)]
    seconded = [correction(sha256_of(20), who=who) for who in ("ada", "bob")]
    found = verdicts([*ada, *others, *seconded], Policy("suspicious", max_share=0.5))
    waiting = {
        sha256: reasons for sha256, (verdict, reasons) in found.items() if verdict == "pending"
    }
    reason = "more than 50% of what is learned would rest on one person's word"
    assert waiting == {sha256_of(4): (reason,), sha256_of(5): (reason,)}
    assert {v for v, _ in verdicts(ada, Policy("suspicious")).values()} == {"accepted"}, (
        "1 is no limit"
    )
    assert {v for v, _ in verdicts(ada, Policy("trust", max_share=0.5)).values()} == {"accepted"}


SHARED = Policy("suspicious", max_share=0.5, share_allowance=3)


def gave(who: str, numbers: range) -> list[Event]:
    return [correction(sha256_of(n), who=who) for n in numbers]


def waiting_of(events: list[Event], policy: Policy = SHARED) -> set[str]:
    return {
        sha256 for sha256, (verdict, _) in verdicts(events, policy).items() if verdict == "pending"
    }


def test_one_of_several_people_has_an_allowance_then_as_much_as_the_others() -> None:
    few, many = (
        [*gave("bob", range(100, 102))],
        [*gave("bob", range(100, 104)), *gave("cid", range(200, 202))],
    )
    assert waiting_of([*few, *gave("eve", range(10))]) == {sha256_of(n) for n in range(3, 10)}
    assert waiting_of([*many, *gave("eve", range(10))]) == {sha256_of(n) for n in range(6, 10)}
    assert {
        why
        for _, reasons in verdicts([*few, *gave("eve", range(10))], SHARED).values()
        for why in reasons
    } == {"more than 3 corrections and 50% of what is learned would rest on one person's word"}


def test_a_person_alone_has_no_share_limit_and_keeps_it_when_others_come() -> None:
    alone = gave("ada", range(50))
    approved = [review(sha256_of(n), "approve") for n in range(5)]
    assert not waiting_of(alone)
    assert not waiting_of([*alone, *approved]), "a reviewer corrects nothing"
    second = gave("bob", range(100, 101))
    assert not waiting_of([*alone, *second])
    assert waiting_of([*alone, *second, *gave("ada", range(50, 60))]) == {
        sha256_of(n) for n in range(53, 60)
    }
    assert waiting_of(alone, Policy("suspicious", max_share=0.5)) == {
        sha256_of(n) for n in range(50)
    }, "no allowance"


def test_what_a_reviewer_approves_of_a_persons_corrections_makes_room_for_more() -> None:
    events = [*gave("bob", range(100, 101)), *gave("ada", range(10))]
    assert waiting_of(events) == {sha256_of(n) for n in range(3, 10)}
    approved = [review(sha256_of(n), "approve") for n in range(6, 10)]
    assert waiting_of([*events, *approved]) == {sha256_of(5)}, (
        "four approved and one of bob's: room for five of six"
    )
