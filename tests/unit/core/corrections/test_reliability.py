from tests.events import correction, review, sha256_of

from medloop.core.corrections.fold import fold
from medloop.core.corrections.reliability import reliabilities


def test_people_are_judged_by_what_reviewers_decided() -> None:
    events = []
    for n in range(40):
        events += [
            correction(sha256_of(n), "Hand", who="good"),
            correction(sha256_of(n), "CXR", who="bad"),
        ]
        events.append(review(sha256_of(n), "relabel", "Hand"))
    events += [correction(sha256_of(90), "Hand", who="new")]
    events += [correction(sha256_of(91), "Hand", who="bad"), review(sha256_of(91), "reject")]
    found = {person.who: person for person in reliabilities(events, fold(events).values())}
    assert list(found) == ["bad", "new", "good"]
    assert (found["good"].answers, found["good"].judged, found["good"].right) == (40, 40, 40)
    assert 0.9 < found["good"].at_least < 1
    assert (found["bad"].judged, found["bad"].right, found["bad"].at_least) == (40, 0, 0.0)
    assert (found["new"].answers, found["new"].judged, found["new"].at_least) == (1, 0, 0.0)


def test_more_evidence_makes_it_surer() -> None:
    def after(count: int) -> float:
        events = [
            e
            for n in range(count)
            for e in (correction(sha256_of(n), "Hand"), review(sha256_of(n), "approve"))
        ]
        return reliabilities(events, fold(events).values())[0].at_least

    assert after(1) < after(10) < after(100)


def test_deciding_about_ones_own_answer_proves_nothing() -> None:
    events = [
        correction(sha256_of(1), "Hand", who="rev"),
        review(sha256_of(1), "approve", who="rev"),
    ]
    assert reliabilities(events, fold(events).values())[0].judged == 0
