from dataclasses import replace

from tests.events import START, new_id

from medloop.core.corrections.events import Promotion, event_key
from medloop.stores.ledger import MAX_BYTES, Ledger
from medloop.stores.objects import ObjectStore


def move(to: str) -> Promotion:
    return Promotion(
        id=new_id(),
        at=START.isoformat(),
        model="m",
        action="promote",
        from_version=None,
        to_version=to,
        by="ada",
        reason="better",
        gate_report={"passed": True},
    )


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


def test_a_copy_under_another_key_counts_once_and_is_named() -> None:
    objects = ObjectStore.in_memory()
    entry = move("1")
    Ledger(objects).append(entry)
    (own,) = (info.key for info in objects.list("promotions"))
    copies = own.replace("dt=2026-11-02", "dt=2026-11-03"), own.replace(entry.id, new_id())
    for copy in copies:
        objects.put(copy, objects.get(own))
    moves, left_out = Ledger(objects).read()
    assert moves == [entry]
    assert set(left_out) == set(copies)


def test_an_object_too_large_for_a_move_is_not_read() -> None:
    objects = ObjectStore.in_memory()
    objects.put(event_key(move("1")), b" " * (MAX_BYTES + 1))
    moves, left_out = Ledger(objects).read()
    assert (moves, [why for why in left_out.values() if "too large" in why]) == (
        [],
        [*left_out.values()],
    )
    assert left_out
