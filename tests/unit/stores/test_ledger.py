from dataclasses import replace

from tests.events import START, new_id

from medloop.core.corrections.events import Promotion
from medloop.stores.ledger import Ledger
from medloop.stores.objects import ObjectStore


def move(to: str) -> Promotion:
    return Promotion(
        id=new_id(), at=START.isoformat(), model="m", action="promote", from_version=None, to_version=to, by="ada",
        reason="better", gate_report={"passed": True},
    )  # fmt: skip


def test_entries_come_back_oldest_first() -> None:
    ledger = Ledger(ObjectStore.in_memory())
    first, second = move("1"), move("2")
    assert ledger.entries() == []
    assert ledger.append(second)
    assert ledger.append(first)
    assert ledger.entries() == [first, second]


def test_a_move_is_written_once_and_never_changed() -> None:
    ledger = Ledger(ObjectStore.in_memory())
    entry = move("1")
    ledger.append(entry)
    assert not ledger.append(replace(entry, reason="another story"))
    assert ledger.entries() == [entry]


def test_a_broken_entry_does_not_hide_the_others() -> None:
    """Else one bad object would keep everybody from rolling back."""
    objects = ObjectStore.in_memory()
    entry = move("1")
    Ledger(objects).append(entry)
    for name, raw in (("a", b"no JSON"), ("b", b"{}"), ("c", b"[1]"), ("d", b"\xff")):
        objects.put(f"promotions/dt=2026-11-02/{name}.json", raw)
    assert Ledger(objects).entries() == [entry]
