"""A session's workbench: order, answers, new versions."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from tests.app.models import LEVELS, OTHER_LEVELS, brightness_model, picture
from tests.app.scans import ct_stack
from tests.hostile.corpus import volume

from medloop.app.kit.pictures import PREVIEW_SIDE
from medloop.app.kit.workbench import PREVIEWS, GivenAnswer, Source, View, Workbench
from medloop.core.imaging.decode import Limits, encode_png
from medloop.core.prediction.predictor import Predictor
from medloop.serving import Served

LIMITS = Limits()


def served(levels: dict[str, float] = LEVELS, version: str = "1") -> Served:
    return Served(Predictor(brightness_model(levels), threads=1), version)


def source(id_: str, level: int, *, seed: int = 0) -> Source:
    return Source(id_, f"{id_}.png", encode_png(picture(level, seed=seed)))


def bench_with(*sources: Source) -> Workbench:
    bench = Workbench()
    bench.add(bench.sync(sources), served(), limits=LIMITS)
    bench.arrange()
    return bench


def answer_to(
    bench: Workbench, id_: str, label: str | None, *, at: float = 0.0, state: str = "pending"
) -> None:
    sha256 = bench.pictures[id_].sha256
    bench.record(
        [GivenAnswer(sha256, id_, label=label, event_id=f"event-{id_}", state=state, at=at)]
    )


@pytest.fixture
def bench() -> Workbench:
    return bench_with(
        source("sure", 50), source("strange", 255), source("between", 85), source("sure too", 200)
    )


def test_unknown_comes_first_then_unsure_then_the_rest(bench):
    assert bench.order == ["strange", "between", "sure", "sure too"]
    assert bench.current_id == "strange"


def test_only_new_files_are_classified(bench):
    sources = [picture.source for picture in bench.pictures.values()]
    assert bench.sync([*sources, source("new", 120)]) == [source("new", 120)]


def test_a_file_taken_away_is_forgotten_with_its_answer(bench):
    answer_to(bench, "strange", None)
    kept = [p.source for p in bench.pictures.values() if p.source.id != "strange"]
    assert bench.sync(kept) == []
    assert "strange" not in bench.pictures
    assert bench.answers == {}
    assert bench.last() == []
    assert bench.current_id == "between"


def test_a_bad_file_gets_a_sentence_and_stops_nothing(bench):
    bad = Source("bad", "notes.txt", b"hello")
    bench = bench_with(bad, source("sure", 50))
    assert bench.unreadable["bad"].name == "notes.txt"
    assert bench.unreadable["bad"].reason.endswith(".")
    assert list(bench.pictures) == ["sure"]
    assert bench.sync([bad, source("sure", 50)]) == []  # not tried again at every rerun


def test_a_new_version_answers_everything_anew_and_keeps_order_and_answers(bench):
    answer_to(bench, "strange", None)
    order = list(bench.order)
    changed = bench.renew(served(OTHER_LEVELS, "2"))
    assert bench.pictures["sure"].prediction.label == "Hand"
    assert {picture.version for picture in bench.pictures.values()} == {"2"}
    assert bench.version == "2"
    assert (
        changed == 3
    )  # 120 is the same class in both; nothing here is 120, and 85 leans to it anyway
    assert bench.order == order
    assert len(bench.answers) == 1


def test_the_same_picture_twice_is_answered_once():
    bench = bench_with(source("a", 50, seed=1), source("b", 50, seed=1), source("c", 85))
    answer_to(bench, "a", "CXR")
    assert bench.counts()["answered"] == 2
    assert bench.open_with("confident") == []
    assert bench.next_open() == "c"


def test_going_on_finds_the_next_picture_without_an_answer(bench):
    answer_to(bench, "between", "CXR")
    assert bench.next_open() == "sure"
    bench.go("sure too")
    assert bench.next_open() == "strange"  # around the end


def test_stepping_goes_around_the_ends(bench):
    bench.step(-1)
    assert bench.current_id == "sure too"
    bench.step(1)
    assert bench.current_id == "strange"


def test_going_to_a_picture_that_is_gone_changes_nothing(bench):
    bench.go("nowhere")
    assert bench.current_id == "strange"


def test_a_double_click_is_known_by_button_and_time(bench):
    answer_to(bench, "strange", "CXR", at=10.0)
    following = bench.pictures["between"]
    assert bench.is_double_click(following, "CXR", at=10.2)
    assert not bench.is_double_click(following, "Hand", at=10.2)
    assert not bench.is_double_click(following, "CXR", at=11.0)


def test_an_answer_is_stored_only_when_the_outbox_says_so(bench):
    answer_to(bench, "strange", None)
    assert not bench.refresh(lambda event_id: "pending")
    assert bench.pending() == 1
    assert bench.refresh(lambda event_id: "stored")
    assert bench.pending() == 0


def test_taking_back_shows_the_picture_again_and_leaves_the_answer_before(bench):
    answer_to(bench, "strange", None, at=1.0)
    answer_to(bench, "between", "CXR", at=2.0)
    bench.go("sure")
    bench.withdraw([bench.pictures["between"].sha256])
    assert bench.current_id == "between"
    assert [answer.event_id for answer in bench.last()] == ["event-strange"]


def test_what_was_answered_at_once_is_last_together(bench):
    answer_to(bench, "strange", None, at=1.0)
    for id_ in ("between", "sure"):
        answer_to(bench, id_, "CXR", at=2.0)
    assert [answer.source_id for answer in bench.last()] == ["between", "sure"]


def test_the_view_shows_a_verdict_a_class_a_name_and_what_is_open(bench):
    for view, shown in (
        (View(verdict="confident"), ["sure", "sure too"]),
        (View(said="Hand"), ["strange", "sure too"]),
        (View(name="SURE"), ["sure", "sure too"]),
        (View(sorting="name"), ["between", "strange", "sure too", "sure"]),
        (View(sorting="class"), ["between", "sure", "strange", "sure too"]),
    ):
        bench.look_for(view)
        assert bench.shown() == shown
    answer_to(bench, "sure", "Hand")
    bench.look_for(View(open_only=True))
    assert "sure" not in bench.shown()
    bench.look_for(View(verdict="answered", said="Hand"))
    assert bench.shown() == ["sure"]
    assert bench.current_id == "sure"


def test_what_the_view_hides_is_chosen_no_more(bench):
    bench.choose(["strange", "sure", "nowhere"])
    assert bench.answered_next() == ["strange", "sure"]
    bench.look_for(View(verdict="confident"))
    assert bench.answered_next() == ["sure"]
    bench.choose([])
    assert bench.answered_next() == ["sure"]


def test_a_large_picture_is_kept_small(bench):
    bench = bench_with(Source("big", "big.png", encode_png(picture(50, side=1500))))
    kept = bench.pictures["big"]
    assert (kept.width, kept.height) == (1500, 1500)
    assert kept.small.shape == (64, 64)
    assert Image.open(BytesIO(bench.preview(kept, limits=LIMITS))).size == (
        PREVIEW_SIDE,
        PREVIEW_SIDE,
    )


def test_previews_are_kept_of_few_pictures_and_go_with_their_files():
    files = [source(f"grey {level}", level) for level in range(10, 110, 10)]
    bench = bench_with(*files)
    seen = [bench.preview(picture, limits=LIMITS) for picture in bench.pictures.values()]
    assert len(set(seen)) == len(files)
    assert len(bench.previews) == PREVIEWS
    assert bench.preview(bench.pictures["grey 100"], limits=LIMITS) is seen[-1]
    bench.sync(files[:1])
    assert not bench.previews


def test_a_preview_shows_the_slice_and_the_window_looked_at():
    bench = bench_with(Source("scan", "scan.dcm", ct_stack((50, 200))))
    previews = []
    for frame in (0, 1):
        bench.look("scan", served(), limits=LIMITS, frame=frame, window=None)
        previews.append(bench.preview(bench.pictures["scan"], limits=LIMITS))
    assert previews[0] != previews[1]


def test_a_volumes_largest_face_and_its_stored_slices_are_different_pictures():
    stack = np.random.default_rng(0).integers(0, 255, (64, 20, 60), np.uint8)
    bench = bench_with(Source("scan", "scan.dcm", volume(stack)))
    first = bench.pictures["scan"]
    assert (first.info.resliced, first.width, first.height) == (True, 64, 60)
    preview = bench.preview(first, limits=LIMITS)
    bench.look("scan", served(), limits=LIMITS, frame=first.info.frame, window=None)
    stored = bench.pictures["scan"]
    assert (stored.info.resliced, stored.volume, stored.width, stored.height) == (
        False,
        True,
        60,
        20,
    )
    assert bench.preview(stored, limits=LIMITS) != preview
    bench.look("scan", served(), limits=LIMITS, frame=None, window=None)
    assert bench.pictures["scan"].sha256 == first.sha256
    assert bench.preview(bench.pictures["scan"], limits=LIMITS) == preview


def test_an_answer_stays_while_its_file_is_there_whichever_slice_is_looked_at():
    file = Source("scan", "scan.dcm", ct_stack((50, 200)))
    bench = bench_with(file, source("other", 120))
    bench.look("scan", served(), limits=LIMITS, frame=0, window=None)
    answer_to(bench, "scan", "CXR")
    answered = bench.pictures["scan"].sha256
    bench.look("scan", served(), limits=LIMITS, frame=1, window=None)
    assert bench.pictures["scan"].sha256 != answered
    bench.sync([file, source("other", 120)])
    assert bench.file_of(bench.last()[0]).source.name == "scan.dcm"
    bench.go("other")
    bench.withdraw([answered])
    assert (bench.current_id, bench.last()) == ("scan", [])


def test_an_answer_goes_with_its_file():
    file = Source("scan", "scan.dcm", ct_stack((50, 200)))
    bench = bench_with(file)
    answer_to(bench, "scan", "CXR")
    bench.look("scan", served(), limits=LIMITS, frame=0, window=None)
    bench.sync([])
    assert (bench.answers, bench.last()) == ({}, [])


def test_another_window_of_a_file_is_another_picture():
    bench = bench_with(source("a", 50))
    before = bench.pictures["a"]
    bench.look("a", served(), limits=LIMITS, frame=0, window=None)
    assert bench.pictures["a"].sha256 == before.sha256
    assert bench.pictures["a"].info.frame == 0


def test_stopping_keeps_what_is_done_and_the_rest_can_be_taken_up_again():
    bench, files = Workbench(), [source("a", 50), source("b", 120), source("c", 200)]
    bench.add(bench.sync(files)[:1], served(), limits=LIMITS)
    bench.stop()
    assert bench.sync(files) == []
    assert (bench.order, bench.skipped) == (["a"], {"b", "c"})
    assert bench.sync([*files, source("d", 85)]) == [source("d", 85)]
    bench.go_on()
    assert bench.sync(files) == files[1:]
    bench.stop()
    bench.sync(files)
    assert bench.sync(files[:1]) == []
    assert bench.skipped == set()
