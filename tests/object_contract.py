"""What every ObjectStore does, in memory and on a real server alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from medloop.errors import AlreadyExistsError, NotFoundError, StaleError
from medloop.stores.objects import ObjectStore


class ObjectStoreContract:
    """Subclass it with a fixture `objects` and a fixture `folder`: an empty folder's name."""

    def test_reads_what_was_written(self, objects: ObjectStore, folder: str) -> None:
        objects.put(f"{folder}/a", b"one")
        objects.put(f"{folder}/a", b"two")
        assert objects.get(f"{folder}/a") == b"two"

    def test_create_refuses_a_key_that_is_taken(self, objects: ObjectStore, folder: str) -> None:
        objects.create(f"{folder}/a", b"one")
        with pytest.raises(AlreadyExistsError, match="already"):
            objects.create(f"{folder}/a", b"two")
        assert objects.get(f"{folder}/a") == b"one"

    def test_ensure_writes_once(self, objects: ObjectStore, folder: str) -> None:
        assert objects.ensure(f"{folder}/a", b"one")
        assert not objects.ensure(f"{folder}/a", b"one")

    def test_of_many_creators_at_once_one_wins(self, objects: ObjectStore, folder: str) -> None:
        with ThreadPoolExecutor(16) as pool:
            wins = list(
                pool.map(lambda n: objects.ensure(f"{folder}/a", str(n).encode()), range(16))
            )
        assert sum(wins) == 1
        assert objects.get(f"{folder}/a") == str(wins.index(True)).encode()

    def test_replace_swaps_only_what_was_read(self, objects: ObjectStore, folder: str) -> None:
        objects.put(f"{folder}/a", b"one")
        raw, e_tag = objects.get_versioned(f"{folder}/a")
        second = objects.replace(f"{folder}/a", b"two", e_tag)
        with pytest.raises(StaleError, match="somebody else"):
            objects.replace(f"{folder}/a", b"three", e_tag)
        objects.replace(f"{folder}/a", b"four", second)
        assert (raw, objects.get(f"{folder}/a")) == (b"one", b"four")

    def test_missing_objects_are_told_apart_from_trouble(
        self, objects: ObjectStore, folder: str
    ) -> None:
        with pytest.raises(NotFoundError, match="nothing-here"):
            objects.get(f"{folder}/nothing-here")
        assert objects.find(f"{folder}/nothing-here") is None
        assert objects.head(f"{folder}/nothing-here") is None

    def test_delete_is_safe_to_repeat(self, objects: ObjectStore, folder: str) -> None:
        objects.put(f"{folder}/a", b"one")
        objects.delete(f"{folder}/a")
        objects.delete(f"{folder}/a")
        assert objects.head(f"{folder}/a") is None

    def test_listing_goes_down_and_starts_where_told(
        self, objects: ObjectStore, folder: str
    ) -> None:
        keys = [f"{folder}/dt=2026-01-0{day}/{n}.json" for day in (1, 2) for n in range(3)]
        objects.ensure_many([(key, b"{}") for key in keys])
        objects.put(f"{folder}-beside/x", b"")
        assert sorted(info.key for info in objects.list(folder)) == keys
        assert sorted(info.key for info in objects.list(folder, after=keys[2])) == keys[3:]
        assert objects.folders(folder) == ["dt=2026-01-01", "dt=2026-01-02"]
        assert list(objects.list(f"{folder}/dt=2020-01-01")) == []

    def test_listing_gives_more_than_one_page(self, objects: ObjectStore, folder: str) -> None:
        objects.ensure_many([(f"{folder}/{n:05}", b"x") for n in range(2500)])
        infos = list(objects.list(folder))
        assert len({info.key for info in infos}) == 2500
        assert infos[0].size_bytes == 1

    def test_many_come_back_in_the_order_asked_for(self, objects: ObjectStore, folder: str) -> None:
        keys = [f"{folder}/{n}" for n in range(100)]
        objects.ensure_many([(key, key.encode()) for key in keys])
        assert objects.get_many(keys[::-1]) == [key.encode() for key in keys[::-1]]
        assert objects.find_many([keys[0], f"{folder}/no", keys[1]]) == [
            keys[0].encode(),
            None,
            keys[1].encode(),
        ]
        with pytest.raises(NotFoundError):
            objects.get_many([*keys, f"{folder}/no"])
        assert objects.get_many([]) == []
