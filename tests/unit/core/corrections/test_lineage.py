"""Who was champion before whom."""

from __future__ import annotations

from medloop.core.corrections.events import Promotion
from medloop.core.corrections.lineage import champions, earlier_champions, forebears


def moves(*steps: tuple[str, str | None, str]) -> list[Promotion]:
    return [
        Promotion(
            id=f"{i}",
            at="2026-11-02T09:00:00.000+00:00",
            model="m",
            action=action,
            from_version=start,
            to_version=end,
            by="ada",
            reason="because",
        )
        for i, (action, start, end) in enumerate(steps)
    ]


def test_rolling_back_twice_goes_back_two_champions():
    ledger = moves(("bootstrap", None, "1"), ("promote", "1", "2"), ("promote", "2", "3"))
    assert earlier_champions(ledger, "3")[-1] == "2"
    ledger += moves(("rollback", "3", "2"))
    assert earlier_champions(ledger, "2")[-1] == "1"
    ledger += moves(("rollback", "2", "1"))
    assert earlier_champions(ledger, "1") == []


def test_a_promotion_after_a_rollback_goes_back_to_what_it_replaced():
    ledger = moves(
        ("bootstrap", None, "1"),
        ("promote", "1", "2"),
        ("rollback", "2", "1"),
        ("promote", "1", "3"),
    )
    assert champions(ledger) == ["1", "3"]
    assert earlier_champions(ledger, "3")[-1] == "1"


def test_a_move_that_was_written_down_and_never_made_is_no_champion():
    ledger = moves(("bootstrap", None, "1"), ("promote", "1", "2"))
    assert earlier_champions(ledger, "1") == []
    ledger += moves(("promote", "1", "3"))
    assert earlier_champions(ledger, "3")[-1] == "1"


def test_a_rollback_to_a_version_that_never_was_champion_can_be_rolled_back():
    ledger = moves(("bootstrap", None, "1"), ("promote", "1", "2"), ("rollback", "2", "7"))
    assert earlier_champions(ledger, "7")[-1] == "2"


def test_a_champion_from_before_the_ledger_can_be_gone_back_to():
    assert earlier_champions(moves(("promote", "5", "6")), "6")[-1] == "5"


def test_before_a_champion_that_the_ledger_does_not_know_are_all_that_it_knows():
    assert earlier_champions(moves(("bootstrap", None, "1")), "9") == ["1"]
    assert earlier_champions(moves(("bootstrap", None, "1")), None) == ["1"]
    assert earlier_champions([], "1") == []


def test_a_new_registry_beside_an_old_bucket_begins_anew():
    ledger = moves(("bootstrap", None, "1"), ("promote", "1", "2"), ("bootstrap", None, "1"))
    assert champions(ledger) == ["1"]
    assert earlier_champions(ledger, "1") == []


def test_forebears_end_at_random_weights_or_at_a_version_that_is_gone():
    parents = {"1": "", "2": "1", "3": "2", "5": "4"}
    assert forebears(parents, "3") == ("2", "1")
    assert forebears(parents, "1") == ()
    assert forebears(parents, "5") == ("4",)
