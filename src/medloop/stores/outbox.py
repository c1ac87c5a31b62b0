"""The write-ahead outbox: an answer is on this machine's disk before its author reads "saved".

One SQLite file (WAL, synchronous=FULL, mode 0600), shared by all threads and processes of this
machine. `medloop.stores.sender` sends it to S3. Images leave the file once they are stored; events
stay, as the person's history.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from medloop.core import none_of_these
from medloop.core.corrections.events import Correction, Review
from medloop.errors import NotFoundError, StoreError

OUTBOX_FILE: Final = "outbox.db"  # in the state folder
BUSY_S: Final = 30.0  # how long a writer waits for the others
# The same answer within this time is a double click. A later one is a new event: the person may
# have given another answer meanwhile on another machine, of which this file knows nothing.
SAME_CLICK_S: Final = 5.0
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,
    folder TEXT NOT NULL,           -- corrections or reviews
    who TEXT NOT NULL,
    image_sha256 TEXT NOT NULL,
    answer TEXT NOT NULL,           -- what was said, and to what, to recognise the same click
    at TEXT NOT NULL,
    body BLOB NOT NULL,             -- the event's JSON
    day TEXT NOT NULL,              -- the day under which it is, or was last tried to be, stored
    attempts INTEGER NOT NULL DEFAULT 0,
    stored INTEGER NOT NULL DEFAULT 0
); CREATE INDEX IF NOT EXISTS events_by_person ON events (who, image_sha256, seq); CREATE INDEX IF
NOT EXISTS events_pending ON events (attempts, seq) WHERE NOT stored; CREATE TABLE IF NOT EXISTS
images (image_sha256 TEXT PRIMARY KEY, png BLOB NOT NULL) WITHOUT ROWID; CREATE TABLE IF NOT EXISTS
trouble (only INTEGER PRIMARY KEY CHECK (only = 1), reason TEXT NOT NULL);
"""

log = logging.getLogger(__name__)
State = Literal["pending", "stored"]


@dataclass(frozen=True, slots=True)
class Receipt:
    """The state of a new event: `pending` is on this machine's disk, `stored` in S3."""

    event_id: str
    state: State
    duplicate: bool = False  # a double click: nothing new was written


@dataclass(frozen=True, slots=True)
class OutboxStatus:
    """The number of waiting events, the oldest one's time and the last error."""

    pending: int
    oldest_at: str | None  # ISO 8601
    last_error: str | None


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A line of a person's history."""

    event: Correction | Review
    state: State


@dataclass(frozen=True, slots=True)
class Pending:
    """An event that is to be sent."""

    seq: int
    event: Correction | Review
    png: bytes | None
    day: str


class Outbox:
    """The outbox file; it is made at the first use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._using = threading.Lock()  # one connection for all threads: they need not poll
        self._open: tuple[int, int, sqlite3.Connection] | None = None  # process, inode, connection

    @property
    def lock_path(self) -> Path:
        """Name the file whose lock lets one process at a time send."""
        return self._path.with_suffix(".lock")

    def add(self, correction: Correction, png: bytes) -> Receipt:
        """Put a correction with its image on disk; see `add_all`."""
        return self.add_all([(correction, png)])[0]

    def add_all(self, corrections: Iterable[tuple[Correction, bytes]]) -> list[Receipt]:
        """Put corrections with their images on disk; then not even a power cut loses one.

        Raises:
            StoreError: None was saved (the disk is full …); the person must be told.
        """
        with self._transaction("nothing was saved") as db:
            return [_insert(db, event, png, _answer_of(event)) for event, png in corrections]

    def add_review(self, review: Review, *, about: Sequence[str] = ()) -> Receipt:
        """Put a review, or the withdrawal of a correction, on disk; see `add_reviews`."""
        return self.add_reviews([review], about=about)[0]

    def add_reviews(self, reviews: Iterable[Review], *, about: Sequence[str] = ()) -> list[Receipt]:
        """Put reviews, or withdrawals of corrections, on disk. Raises as `add_all` does.

        `about` are ids of the events that they decide about: the same verdict on others is another
        decision.
        """
        with self._transaction("nothing was saved") as db:
            return [
                _insert(db, review, None, " ".join([_verdict_of(review), *about]))
                for review in reviews
            ]

    def state(self, event_id: str) -> State:
        """Return whether the event is in S3 by now, or raise `NotFoundError`."""
        rows = self._rows("SELECT stored FROM events WHERE event_id = ?", event_id)
        if not rows:
            raise NotFoundError(f"the outbox {self._path} has no event {event_id}")
        return _state(rows[0][0])

    def status(self) -> OutboxStatus:
        """Count what waits."""
        query = (
            "SELECT count(*), min(at), (SELECT reason FROM trouble) FROM events WHERE NOT stored"
        )
        for pending, oldest_at, trouble in self._rows(query):
            return OutboxStatus(pending, oldest_at, trouble if pending else None)
        return OutboxStatus(pending=0, oldest_at=None, last_error=None)

    def stored_ids(self) -> set[str]:
        """List ids of all events that this machine has brought to S3.

        Raises:
            StoreError: The file is damaged.
        """
        for (found,) in self._rows("PRAGMA integrity_check(1)"):
            if found != "ok":
                raise StoreError(f"outbox {self._path}: {_remedy(sqlite3.DatabaseError(found))}")
        return {event_id for (event_id,) in self._rows("SELECT event_id FROM events WHERE stored")}

    def history(
        self, who: str, limit: int = 100, *, image_sha256: str | None = None
    ) -> list[OutboxEntry]:
        """List what a person said or took back on this machine, newest first, without reviews.

        `image_sha256` restricts it to one image.
        """
        rows = self._rows(
            "SELECT folder, body, stored FROM events WHERE who = ? AND image_sha256 = "
            "ifnull(?, image_sha256) AND (folder = 'corrections' OR answer = 'withdraw') "
            "ORDER BY seq DESC LIMIT ?",
            who,
            image_sha256,
            limit,
        )
        return [
            OutboxEntry(event, _state(stored))
            for folder, body, stored in rows
            if (event := _parse(folder, body))
        ]

    def newest_id(self, who: str, image_sha256: str) -> str:
        """Look up the last event of a person about an image on this machine; "" without one."""
        query = "SELECT max(event_id) FROM events WHERE who = ? AND image_sha256 = ?"
        return next((newest or "" for (newest,) in self._rows(query, who, image_sha256)), "")

    def pending(self, limit: int) -> list[Pending]:
        """List what to send next: tried least, then oldest; a bad event holds up no other."""
        passed_over: set[int] = set()
        while True:
            rows = self._rows(
                "SELECT seq, folder, body, png, day FROM events LEFT JOIN images "
                "USING (image_sha256) WHERE NOT stored ORDER BY attempts, seq LIMIT ?",
                limit,
            )
            parsed = [(_parse(folder, body), seq, png, day) for seq, folder, body, png, day in rows]
            if unreadable := {seq for event, seq, *_ in parsed if event is None}:
                self.mark_failed(sorted(unreadable), "an event here can no longer be read")
            found = [
                Pending(seq=seq, event=event, png=png, day=day)
                for event, seq, png, day in parsed
                if event is not None
            ]
            if found or unreadable <= passed_over:
                return found
            passed_over |= unreadable

    def unsent(self) -> list[Correction | Review]:
        """List every event that is not in S3 yet, oldest first."""
        query = "SELECT folder, body FROM events WHERE NOT stored ORDER BY seq"
        return [event for row in self._rows(query) if (event := _parse(*row))]

    def move_to_day(self, seqs: Sequence[int], day: str) -> None:
        """Note, before trying, that these will be stored under `day`."""
        with self._transaction("what waits cannot be sent") as db:
            db.executemany("UPDATE events SET day = ? WHERE seq = ?", [(day, seq) for seq in seqs])

    def mark_stored(self, seqs: Sequence[int]) -> None:
        """Note that these are in S3, and wipe images that no other event still needs."""
        consequence = f"{len(seqs)} events are in S3, but this could not be noted here"
        with self._transaction(consequence) as db:
            db.executemany("UPDATE events SET stored = 1 WHERE seq = ?", [(seq,) for seq in seqs])
            db.executemany(
                "DELETE FROM images WHERE image_sha256 = "
                "(SELECT image_sha256 FROM events WHERE seq = ?) AND NOT EXISTS (SELECT 1 FROM "
                "events AS e WHERE e.image_sha256 = images.image_sha256 AND NOT stored)",
                [(seq,) for seq in seqs],
            )
            db.execute("DELETE FROM trouble")

    def mark_failed(self, seqs: Sequence[int], reason: str) -> None:
        """Note that these were tried in vain."""
        with self._transaction(f"a try failed ({reason}), and this could not be noted") as db:
            db.executemany(
                "UPDATE events SET attempts = attempts + 1 WHERE seq = ?", [(seq,) for seq in seqs]
            )
            db.execute("INSERT OR REPLACE INTO trouble VALUES (1, ?)", (reason,))

    def forget_image(self, image_sha256: str) -> None:
        """Wipe an erased patient's image; events that still wait are sent without it.

        Raises:
            StoreError: The image may still be in SQLite's log beside the file: do it again.
        """
        if not self._path.exists():
            return
        with self._transaction("the image may still be here") as db:
            db.execute("DELETE FROM images WHERE image_sha256 = ?", (image_sha256,))
        if self._rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]:
            raise StoreError(
                f"outbox {self._path}: another process has held it for too long; try again"
            )

    @contextmanager
    def _transaction(self, consequence: str) -> Iterator[sqlite3.Connection]:
        """Write: on disk when the block ends, or not at all and `consequence` is the case."""
        with self._using, self._translated(consequence):
            db = self._connection()
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk has rolled back already
                    db.execute("ROLLBACK")
                raise

    def _rows(self, query: str, *values: object) -> list[Any]:
        """Read; a file that is not there yet holds nothing and is not made."""
        if not self._path.exists():
            return []
        with self._using, self._translated("it could not be read"):
            return self._connection().execute(query, values).fetchall()

    @contextmanager
    def _translated(self, consequence: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"outbox {self._path}: {consequence}: {_remedy(error)}") from error

    def _connection(self) -> sqlite3.Connection:
        """Open a connection of this process, anew after a fork and after the file was moved."""
        inode = self._path.stat().st_ino if self._path.exists() else None
        if self._open and self._open[:2] == (os.getpid(), inode):
            return self._open[2]
        db = _open(self._path)
        self._open = (os.getpid(), self._path.stat().st_ino, db)
        return db


def _open(path: Path) -> sqlite3.Connection:
    """Open or make the file, readable by its owner alone; SQLite's side files follow."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # processes that turn on the WAL at once would collide
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        os.fsync(folder)
        db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
            db.execute(f"PRAGMA {pragma}")
        db.executescript(SCHEMA)
    finally:
        os.close(folder)
    return db


def _insert(
    db: sqlite3.Connection, event: Correction | Review, png: bytes | None, answer: str
) -> Receipt:
    row = {
        "event_id": event.id,
        "folder": "corrections" if isinstance(event, Correction) else "reviews",
        "who": event.who,
        "image_sha256": event.image_sha256,
        "answer": answer,
        "at": event.at,
        "body": event.to_json(),
        "day": event.at[:10],
    }
    last = db.execute(
        "SELECT event_id, answer, stored, at FROM events "
        "WHERE who = :who AND image_sha256 = :image_sha256 ORDER BY seq DESC LIMIT 1",
        row,
    ).fetchone()
    if last and last[1] == answer and _seconds_between(last[3], event.at) <= SAME_CLICK_S:
        return Receipt(event_id=last[0], state=_state(last[2]), duplicate=True)
    values = ", ".join(f":{name}" for name in row)
    db.execute(f"INSERT INTO events ({', '.join(row)}) VALUES ({values})", row)  # noqa: S608
    if png is not None:
        db.execute("INSERT OR IGNORE INTO images VALUES (?, ?)", (event.image_sha256, png))
    return Receipt(event_id=event.id, state="pending")


def _answer_of(correction: Correction) -> str:
    label = correction.given_label
    given = none_of_these.TEXT if label is None else f"label {label}"
    return f"{given}, to version {correction.model_version}"


def _verdict_of(review: Review) -> str:
    return f"{review.action} {review.label}" if review.action == "relabel" else review.action


def _seconds_between(at: str, then: str) -> float:
    return abs((datetime.fromisoformat(then) - datetime.fromisoformat(at)).total_seconds())


def _state(stored: int) -> State:
    return "stored" if stored else "pending"


def _parse(folder: str, body: bytes) -> Correction | Review | None:
    """Read an event; one that an older version took and nobody could read stops no other."""
    try:
        return Correction.from_json(body) if folder == "corrections" else Review.from_json(body)
    except StoreError as error:
        log.warning("outbox: an event stays here: %s", error)
        return None


def _remedy(error: Exception) -> str:
    text = str(error)
    if "full" in text or "No space" in text:
        return "the disk is full; free some space and try again"
    if "readonly" in text or "unable to open" in text or isinstance(error, PermissionError):
        return "the file or its folder cannot be written; check its owner and mode"
    if "locked" in text:
        return "another process has held it for too long; try again"
    return f"{text}; check the disk and keep the file: it may hold what is stored nowhere else"
