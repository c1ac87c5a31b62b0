"""What a person does at the gallery, as the server hears of it."""

from __future__ import annotations

import pytest
from tests.app.test_clearance import named
from tests.app.test_workbench import bench_with, source

from medloop.app.classify import gallery
from medloop.app.kit.access import User, local_user
from medloop.app.kit.workbench import Source, View
from medloop.errors import MedloopError

ADA = local_user("ada")


@pytest.fixture
def bench():
    return bench_with(source("a", 50), source("b", 120), source("c", 200))


def event(n: int, kind: str, *ids: str, key: str = "") -> dict:
    return {"n": n, "kind": kind, "ids": list(ids), "key": key}


def said(site) -> list[str | None]:
    """What ada answered, oldest first."""
    return [entry.event.given_label for entry in site.context.outbox.history("ada", 10)][::-1]


def test_events_are_heard_in_their_order_and_once(site, bench):
    told = [event(1, "answer", "a", key="3"), event(2, "answer", "b", key="0")]
    gallery.hear(site.backend, bench, told, user=ADA)
    gallery.hear(site.backend, bench, [*told, event(3, "answer", "c", key="Enter")], user=ADA)
    assert said(site) == ["Hand", None, "Hand"]
    assert bench.heard == 3


def test_a_choice_is_for_the_next_answer_and_going_on_ends_it(site, bench):
    gallery.hear(site.backend, bench, [event(1, "choose", "a", "c", "gone")], user=ADA)
    assert bench.chosen == {"a", "c"}
    gallery.hear(site.backend, bench, [event(2, "go", "b")], user=ADA)
    assert (bench.chosen, bench.current_id) == (set(), "b")


def test_what_follows_a_refused_answer_is_dropped(site):
    bench = bench_with(Source("scan", "scan", named(50)), source("b", 120))
    told = [event(1, "answer", "scan", key="1"), event(2, "answer", "b", key="1")]
    with pytest.raises(MedloopError, match="may name a patient"):
        gallery.hear(site.backend, bench, told, user=ADA)
    gallery.hear(site.backend, bench, told, user=ADA)
    assert said(site) == []


def test_a_viewer_answers_nothing_by_key(site, bench):
    viewer = User("ada", "viewer", local=False)
    with pytest.raises(MedloopError, match="needs the role corrector"):
        gallery.hear(site.backend, bench, [event(1, "answer", "a", key="1")], user=viewer)
    assert said(site) == []


def test_entries_are_those_of_the_view_and_say_what_is_known(bench):
    bench.look_for(View(said="Hand"))
    (entry,) = gallery.entries(bench)
    assert entry["description"] == "c.png: Hand, confident, no answer from you yet"
    assert (entry["open"], entry["locked"], entry["label"]) == (True, False, "Hand")
