import multiprocessing
import os
import resource
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from tests.events import START, correction, image, png, review, sha256_of

from medloop.core.corrections.events import Correction
from medloop.core.corrections.fold import fold
from medloop.errors import NotFoundError, StoreError
from medloop.stores.outbox import Outbox, OutboxStatus

PNG = png(image(1))


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "home" / "outbox.db")


def test_what_is_added_survives_the_process(outbox: Outbox, tmp_path: Path) -> None:
    event = correction(sha256_of(1))
    receipt = outbox.add(event, PNG)
    assert (receipt.event_id, receipt.state, receipt.duplicate) == (event.id, "pending", False)
    reopened = Outbox(tmp_path / "home" / "outbox.db")
    assert [(item.event, item.png, item.day) for item in reopened.pending(10)] == [
        (event, PNG, "2026-11-02")
    ]
    assert reopened.status() == OutboxStatus(pending=1, oldest_at=event.at, last_error=None)


def test_corrections_at_once_are_all_saved_or_none(outbox: Outbox) -> None:
    events = [correction(sha256_of(n)) for n in (1, 2, 2)]
    receipts = outbox.add_all((event, PNG) for event in events)
    assert [receipt.duplicate for receipt in receipts] == [False, False, True]

    def cut_short() -> Iterator[tuple[Correction, bytes]]:
        yield correction(sha256_of(3)), PNG
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        outbox.add_all(cut_short())
    assert outbox.unsent() == events[:2]


def test_an_outbox_that_was_never_used_is_empty_and_leaves_no_file(
    outbox: Outbox, tmp_path: Path
) -> None:
    assert outbox.status() == OutboxStatus(pending=0, oldest_at=None, last_error=None)
    assert outbox.history("ada") == []
    assert not (tmp_path / "home").exists()


def test_the_same_click_twice_is_one_event(outbox: Outbox) -> None:
    first = outbox.add(correction(sha256_of(1), "Hand"), PNG)
    again = outbox.add(correction(sha256_of(1), "Hand"), PNG)
    assert again.duplicate
    assert again.event_id == first.event_id
    outbox.mark_stored([1])
    assert outbox.add(correction(sha256_of(1), "Hand"), PNG).state == "stored"


@pytest.mark.parametrize(
    "other",
    [
        correction(sha256_of(1), "CXR"),
        correction(sha256_of(1), None),
        correction(sha256_of(1), "no Hand"),
        correction(sha256_of(2), "Hand"),
        correction(sha256_of(1), "Hand", who="grace"),
        review(sha256_of(1), "withdraw", who="ada"),
    ],
)
def test_another_answer_image_or_person_is_another_event(outbox: Outbox, other) -> None:
    outbox.add(correction(sha256_of(1), "Hand"), PNG)
    add = outbox.add_review if hasattr(other, "action") else lambda event: outbox.add(event, PNG)
    assert not add(other).duplicate
    assert outbox.status().pending == 2


def test_an_answer_given_again_after_another_one_is_a_new_event(outbox: Outbox) -> None:
    """Hand, CXR, Hand: the person changed their mind twice."""
    receipts = [
        outbox.add(correction(sha256_of(1), label), PNG) for label in ("Hand", "CXR", "Hand")
    ]
    assert not any(receipt.duplicate for receipt in receipts)


def test_a_correction_after_its_withdrawal_is_a_new_event(outbox: Outbox) -> None:
    outbox.add(correction(sha256_of(1), "Hand"), PNG)
    outbox.add_review(review(sha256_of(1), "withdraw", who="ada"))
    assert outbox.add_review(review(sha256_of(1), "withdraw", who="ada")).duplicate
    assert not outbox.add(correction(sha256_of(1), "Hand"), PNG).duplicate


def test_an_answer_given_again_later_is_a_new_event(outbox: Outbox) -> None:
    """The person may have said something else on another machine meanwhile: the last word must be
    theirs.
    """
    here, there = outbox, Outbox(outbox.lock_path.with_name("another machine.db"))
    said = [
        (here, correction(sha256_of(1), "Hand")),
        (there, correction(sha256_of(1), "CXR", at=START + timedelta(seconds=3))),
        (here, correction(sha256_of(1), "Hand", at=START + timedelta(seconds=6))),
    ]
    assert not any(machine.add(event, PNG).duplicate for machine, event in said)
    stored = [item.event for machine in (here, there) for item in machine.pending(10)]
    assert fold(stored)[sha256_of(1)].label == "Hand"


@pytest.mark.parametrize("seconds", [-4, 0, 4])
def test_the_same_click_is_known_by_a_clock_that_was_set_back(outbox: Outbox, seconds: int) -> None:
    outbox.add(correction(sha256_of(1)), PNG)
    assert outbox.add(
        correction(sha256_of(1), at=START + timedelta(seconds=seconds)), PNG
    ).duplicate


def test_the_same_answer_to_a_later_version_is_a_new_event(outbox: Outbox) -> None:
    """A confirmation of the new champion counts for the watch over it."""
    outbox.add(correction(sha256_of(1), "Hand", model_version="1"), PNG)
    assert not outbox.add(correction(sha256_of(1), "Hand", model_version="2"), PNG).duplicate
    assert outbox.add(correction(sha256_of(1), "Hand", model_version="2"), PNG).duplicate


def test_the_same_verdict_on_a_new_answer_is_a_new_decision(outbox: Outbox) -> None:
    outbox.add_review(review(sha256_of(1), "reject"), about=["first"])
    assert outbox.add_review(review(sha256_of(1), "reject"), about=["first"]).duplicate
    assert not outbox.add_review(
        review(sha256_of(1), "reject"), about=["first", "second"]
    ).duplicate


def test_only_the_owner_can_read_it(outbox: Outbox, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        outbox.add(correction(sha256_of(1)), PNG)
    finally:
        os.umask(old)
    files = list((tmp_path / "home").iterdir())
    assert {path.name for path in files} == {"outbox.db", "outbox.db-wal", "outbox.db-shm"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700


def test_an_image_is_wiped_once_every_event_about_it_is_stored(
    outbox: Outbox, tmp_path: Path
) -> None:
    outbox.add(correction(sha256_of(1), "Hand"), PNG)
    outbox.add(correction(sha256_of(1), "CXR"), PNG)
    outbox.mark_stored([1])
    assert outbox.pending(10)[0].png == PNG
    outbox.mark_stored([2])
    assert sqlite3.connect(tmp_path / "home" / "outbox.db").execute(
        "SELECT count(*) FROM images"
    ).fetchone() == (0,)


def test_a_failing_event_makes_way_for_the_others(outbox: Outbox) -> None:
    bad, good = (outbox.add(correction(sha256_of(n)), PNG) for n in (1, 2))
    outbox.mark_failed([1], "the store is full")
    assert [item.event.id for item in outbox.pending(10)] == [good.event_id, bad.event_id]
    assert outbox.status().last_error == "the store is full"
    outbox.mark_stored([2])
    assert outbox.status().last_error is None


def test_a_person_sees_their_own_history_newest_first(outbox: Outbox) -> None:
    mine = [correction(sha256_of(n)) for n in range(3)]
    for event in mine:
        outbox.add(event, PNG)
    outbox.add(correction(sha256_of(9), who="grace"), PNG)
    outbox.mark_stored([1])
    assert [(entry.event, entry.state) for entry in outbox.history("ada")] == [
        (mine[2], "pending"), (mine[1], "pending"), (mine[0], "stored"),
    ]  # fmt: skip
    assert len(outbox.history("ada", limit=1)) == 1


def test_an_event_it_does_not_know_is_said_so(outbox: Outbox) -> None:
    with pytest.raises(NotFoundError, match="no event"):
        outbox.state("0")


def test_sessions_at_once_never_double_or_lose(outbox: Outbox) -> None:
    def session(number: int) -> list[bool]:
        return [
            outbox.add(correction(sha256_of(n), who=f"user {number % 4}"), PNG).duplicate
            for n in range(10)
        ]

    with ThreadPoolExecutor(16) as pool:
        duplicates = list(pool.map(session, range(16)))
    assert outbox.status().pending == 40
    assert sum(map(sum, duplicates)) == 160 - 40


def _add_many(path: Path, person: int) -> None:
    outbox = Outbox(path)
    for n in range(25):
        event_id = f"{person:08}-0000-7000-8000-{n:012}"
        outbox.add(correction(sha256_of(n), who=f"user {person}", id=event_id), PNG)


def test_processes_at_once_never_double_or_lose(outbox: Outbox, tmp_path: Path) -> None:
    path = tmp_path / "home" / "outbox.db"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_add_many, args=(path, person)) for person in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    assert outbox.status().pending == 100


def test_a_forked_child_uses_a_connection_of_its_own(outbox: Outbox) -> None:
    outbox.add(correction(sha256_of(1)), PNG)
    process = multiprocessing.get_context("fork").Process(
        target=lambda: outbox.add(correction(sha256_of(2)), PNG)
    )
    process.start()
    process.join(30)
    assert process.exitcode == 0
    assert outbox.status().pending == 2


def test_a_file_moved_away_under_a_running_process_is_made_anew(
    outbox: Outbox, tmp_path: Path
) -> None:
    """Writes to a deleted file would look like success and be lost."""
    outbox.add(correction(sha256_of(1)), PNG)
    for path in (tmp_path / "home").iterdir():
        path.unlink()
    outbox.add(correction(sha256_of(2)), PNG)
    assert Outbox(tmp_path / "home" / "outbox.db").status().pending == 1


@pytest.fixture
def no_space_left(outbox: Outbox) -> Iterator[None]:
    """The kernel refuses to let any file of this process grow, as on a full disk."""
    outbox.add(correction(sha256_of(0)), PNG)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_a_clear_refusal_and_leaves_no_trace(
    outbox: Outbox, no_space_left: None
) -> None:
    with pytest.raises(StoreError, match="nothing was saved"):
        outbox.add(correction(sha256_of(1)), PNG)
    soft, hard = resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert outbox.status().pending == 1
    assert not outbox.add(correction(sha256_of(1)), PNG).duplicate
    assert outbox.status().pending == 2


ON_A_FULL_DISK = """
import sys
from pathlib import Path
from tests.events import correction, image, png, sha256_of
from medloop.errors import StoreError
from medloop.stores.outbox import Outbox
home = Path(sys.argv[1])
outbox = Outbox(home / "outbox.db")
outbox.add(correction(sha256_of(1)), png(image(1)))
(home / "filler").write_bytes(b"x" * (200 * 1024))
try:
    for n in range(2, 1000):
        outbox.add(correction(sha256_of(n)), png(image(n)))
except StoreError as error:
    print(error)
(home / "filler").unlink()
outbox.add(correction(sha256_of(n)), png(image(n)))
print(outbox.status().pending == n, len(outbox.pending(2000)) == n)
"""


@pytest.mark.skipif(
    subprocess.run(["unshare", "-Urm", "true"], capture_output=True, check=False).returncode != 0,
    reason="this machine lets nobody mount a file system of their own",
)
def test_on_a_disk_that_is_really_full(tmp_path: Path) -> None:
    """A file system of 1 MiB: the refusal says so, what was acknowledged stays, and it works again
    with space.
    """
    script = (
        f'mount -t tmpfs -o size=1m none "{tmp_path}" && exec "{sys.executable}" -c "$0" '
        f'"{tmp_path}"'
    )
    found = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script, ON_A_FULL_DISK],
        capture_output=True, text=True, cwd=Path(__file__).parents[3], check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip
    assert found.stderr == ""
    refusal, after = found.stdout.splitlines()
    assert "nothing was saved: the disk is full; free some space" in refusal
    assert after == "True True"


def test_a_full_database_says_what_to_do(outbox: Outbox, tmp_path: Path) -> None:
    outbox.add(correction(sha256_of(0)), PNG)
    outbox._connection().execute("PRAGMA max_page_count = 12")
    with pytest.raises(StoreError, match="the disk is full; free some space"):
        outbox.add(correction(sha256_of(1)), b"x" * 100_000)
    assert outbox.status().pending == 1


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="nothing was saved"):
        Outbox(tmp_path / "file" / "outbox.db").add(correction(sha256_of(1)), PNG)


def test_a_broken_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreError, match="keep the file"):
        Outbox(path).add(correction(sha256_of(1)), PNG)
    assert path.read_bytes() == b"not a database" * 1000


def test_an_event_that_nobody_could_read_stops_no_other(outbox: Outbox, tmp_path: Path) -> None:
    """Older versions took remarks of any length."""
    for n in (1, 2):
        outbox.add(correction(sha256_of(n)), PNG)
    with sqlite3.connect(tmp_path / "home" / "outbox.db") as db:
        db.execute("UPDATE events SET body = ? WHERE seq = 1", (b'{"id": "x"}',))
    assert [item.event.image_sha256 for item in outbox.pending(10)] == [sha256_of(2)]
    assert len(outbox.unsent()) == len(outbox.history("ada")) == 1
    assert outbox.status().pending == 2


def test_however_many_nobody_could_read_the_next_is_sent(outbox: Outbox, tmp_path: Path) -> None:
    for n in range(7):
        outbox.add(correction(sha256_of(n)), PNG)
    with sqlite3.connect(tmp_path / "home" / "outbox.db") as db:
        db.execute("UPDATE events SET body = ? WHERE seq <= 6", (b"{}",))
    assert [item.event.image_sha256 for item in outbox.pending(2)] == [sha256_of(6)]
    assert "can no longer be read" in (outbox.status().last_error or "")
    outbox.mark_stored([7])
    assert outbox.pending(2) == []


def test_a_full_disk_is_worded_truly_where_s3_has_it(outbox: Outbox, tmp_path: Path) -> None:
    outbox.add(correction(sha256_of(1)), PNG)
    with sqlite3.connect(tmp_path / "home" / "outbox.db") as db:
        db.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON events BEGIN SELECT RAISE(FAIL, 'database or "
            "disk is full'); END"
        )
    with pytest.raises(
        StoreError, match=r"are in S3, but this could not be noted here.*disk is full"
    ):
        outbox.mark_stored([1])
