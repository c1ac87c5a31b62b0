"""The write-ahead outbox: what a person says is on this machine's disk before they read "saved".

One SQLite file (WAL, synchronous=FULL, mode 0600), shared by all threads and processes of this machine. Sending it to
S3 is `medloop.stores.sender`'s work. Images leave the file once they are stored; events stay, as the person's history.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from medloop.core.corrections.events import Correction, Review
from medloop.errors import NotFoundError, StoreError

OUTBOX_FILE: Final = "outbox.db"  # in the state folder
BUSY_S: Final = 30.0  # how long a writer waits for the others
# The same answer within so long is the same click, or an impatient second one. Later it is said anew: the person may
# have been to another machine and said something else there, of which this file knows nothing. Nobody is as quick.
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
);
CREATE INDEX IF NOT EXISTS events_by_person ON events (who, image_sha256, seq);
CREATE INDEX IF NOT EXISTS events_pending ON events (attempts, seq) WHERE NOT stored;
CREATE TABLE IF NOT EXISTS images (image_sha256 TEXT PRIMARY KEY, png BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS trouble (only INTEGER PRIMARY KEY CHECK (only = 1), reason TEXT NOT NULL);
"""

State = Literal["pending", "stored"]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the person can be told: `pending` is safe on this machine's disk, `stored` is in S3."""

    event_id: str
    state: State
    duplicate: bool = (
        False  # the same person has just said the same of this image; nothing new was written
    )


@dataclass(frozen=True, slots=True)
class OutboxStatus:
    """What waits, since when, and why."""

    pending: int
    oldest_at: str | None  # ISO 8601
    last_error: str | None


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One line of a person's history."""

    event: Correction | Review
    state: State


@dataclass(frozen=True, slots=True)
class Pending:
    """One event that is to be sent."""

    seq: int
    event: Correction | Review
    png: bytes | None
    day: str


class Outbox:
    """The outbox file; it is made at the first use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._using = (
            threading.Lock()
        )  # one connection for all threads: between them nobody need poll
        self._open: tuple[int, int, sqlite3.Connection] | None = None  # process, inode, connection

    @property
    def lock_path(self) -> Path:
        """The file whose lock makes one process at a time send."""
        return self._path.with_suffix(".lock")

    def add(self, correction: Correction, png: bytes) -> Receipt:
        """Put a correction on disk, with its image; when this returns, not even a power cut loses it.

        Raises:
            StoreError: It could not be written (the disk is full …): tell the person, nothing was saved.
        """
        label = (
            "none of these" if correction.given_label is None else f"label {correction.given_label}"
        )
        answer = f"{label}, to version {correction.model_version}"
        return self._add(correction, png, folder="corrections", answer=answer)

    def add_review(self, review: Review, *, about: Sequence[str] = ()) -> Receipt:
        """Put a review, or the withdrawal of a correction, on disk. Raises as `add` does.

        Args:
            review: The event.
            about: Ids of the events that a reviewer decides about: the same verdict on others is another decision.
        """
        answer = f"{review.action} {review.label}" if review.action == "relabel" else review.action
        return self._add(review, None, folder="reviews", answer=" ".join([answer, *about]))

    def _add(
        self, event: Correction | Review, png: bytes | None, *, folder: str, answer: str
    ) -> Receipt:
        with self._transaction() as db:
            last = db.execute(
                "SELECT event_id, answer, stored, at FROM events WHERE who = ? AND image_sha256 = ? "
                "ORDER BY seq DESC LIMIT 1",
                (event.who, event.image_sha256),
            ).fetchone()
            if last and last[1] == answer and _seconds_between(last[3], event.at) <= SAME_CLICK_S:
                return Receipt(event_id=last[0], state=_state(last[2]), duplicate=True)
            db.execute(
                "INSERT INTO events (event_id, folder, who, image_sha256, answer, at, body, day) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    event.id,
                    folder,
                    event.who,
                    event.image_sha256,
                    answer,
                    event.at,
                    event.to_json(),
                    event.at[:10],
                ),
            )
            if png is not None:
                db.execute("INSERT OR IGNORE INTO images VALUES (?, ?)", (event.image_sha256, png))
        return Receipt(event_id=event.id, state="pending")

    def state(self, event_id: str) -> State:
        """Whether the event is in S3 by now, or `NotFoundError`."""
        with self._reading() as db:
            row = db.execute("SELECT stored FROM events WHERE event_id = ?", (event_id,)).fetchone()
        if row is None:
            raise NotFoundError(f"the outbox {self._path} has no event {event_id}")
        return _state(row[0])

    def status(self) -> OutboxStatus:
        """How many wait, since when, and why the last try failed."""
        if not self._path.exists():
            return OutboxStatus(pending=0, oldest_at=None, last_error=None)
        with self._reading() as db:
            pending, oldest = db.execute(
                "SELECT count(*), min(at) FROM events WHERE NOT stored"
            ).fetchone()
            trouble = db.execute("SELECT reason FROM trouble").fetchone()
        return OutboxStatus(
            pending=pending,
            oldest_at=oldest,
            last_error=trouble[0] if trouble and pending else None,
        )

    def stored_ids(self) -> set[str]:
        """Ids of all events that this machine has brought to S3.

        Raises:
            StoreError: The file is damaged.
        """
        if not self._path.exists():
            return set()
        with self._reading() as db:
            (found,) = db.execute("PRAGMA integrity_check(1)").fetchone()
            if found != "ok":
                raise sqlite3.DatabaseError(found)
            return {row[0] for row in db.execute("SELECT event_id FROM events WHERE stored")}

    def history(self, who: str, limit: int = 100) -> list[OutboxEntry]:
        """What this person said or took back on this machine, newest first; their work as a reviewer is left out."""
        if not self._path.exists():
            return []
        with self._reading() as db:
            rows = db.execute(
                "SELECT folder, body, stored FROM events WHERE who = ? "
                "AND (folder = 'corrections' OR answer = 'withdraw') ORDER BY seq DESC LIMIT ?",
                (who, limit),
            ).fetchall()
        return [
            OutboxEntry(event=_parse(folder, body), state=_state(stored))
            for folder, body, stored in rows
        ]

    def last_said(self, who: str, image_sha256: str) -> OutboxEntry | None:
        """The newest line of this person's history about one image; None without any."""
        if not self._path.exists():
            return None
        with self._reading() as db:
            row = db.execute(
                "SELECT folder, body, stored FROM events WHERE who = ? AND image_sha256 = ? "
                "AND (folder = 'corrections' OR answer = 'withdraw') ORDER BY seq DESC LIMIT 1",
                (who, image_sha256),
            ).fetchone()
        return OutboxEntry(event=_parse(row[0], row[1]), state=_state(row[2])) if row else None

    def pending(self, limit: int) -> list[Pending]:
        """What to send next: those tried least, then the oldest, so that one bad event holds up nobody."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT seq, folder, body, png, day FROM events LEFT JOIN images USING (image_sha256) "
                "WHERE NOT stored ORDER BY attempts, seq LIMIT ?",
                (limit,),
            ).fetchall()
        return [
            Pending(seq=seq, event=_parse(folder, body), png=png, day=day)
            for seq, folder, body, png, day in rows
        ]

    def unsent(self) -> list[Correction | Review]:
        """Every event that is not in S3 yet, oldest first."""
        if not self._path.exists():
            return []
        with self._reading() as db:
            rows = db.execute(
                "SELECT folder, body FROM events WHERE NOT stored ORDER BY seq"
            ).fetchall()
        return [_parse(folder, body) for folder, body in rows]

    def move_to_day(self, seqs: Sequence[int], day: str) -> None:
        """Note, before trying, that these will be stored under `day`."""
        with self._transaction() as db:
            db.executemany("UPDATE events SET day = ? WHERE seq = ?", [(day, seq) for seq in seqs])

    def mark_stored(self, seqs: Sequence[int]) -> None:
        """These are in S3; their images are wiped unless another event still needs them."""
        with self._transaction() as db:
            db.executemany("UPDATE events SET stored = 1 WHERE seq = ?", [(seq,) for seq in seqs])
            db.executemany(
                "DELETE FROM images WHERE image_sha256 = (SELECT image_sha256 FROM events WHERE seq = ?) "
                "AND NOT EXISTS (SELECT 1 FROM events AS e WHERE e.image_sha256 = images.image_sha256 AND NOT stored)",
                [(seq,) for seq in seqs],
            )
            db.execute("DELETE FROM trouble")

    def mark_failed(self, seqs: Sequence[int], reason: str) -> None:
        """These were tried in vain."""
        with self._transaction() as db:
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
        with self._transaction() as db:
            db.execute("DELETE FROM images WHERE image_sha256 = ?", (image_sha256,))
        with self._reading() as db:
            (busy, *_) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StoreError(
                f"outbox {self._path}: another process has held it for too long; try again"
            )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction: on disk when the block ends, or not at all."""
        with self._using, self._translated("nothing was saved"):
            db = self._connection()
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk has rolled back already
                    db.execute("ROLLBACK")
                raise

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._using, self._translated("it could not be read"):
            yield self._connection()

    @contextmanager
    def _translated(self, consequence: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"outbox {self._path}: {consequence}: {_remedy(error)}") from error

    def _connection(self) -> sqlite3.Connection:
        """This process's connection, opened anew after a fork and when the file was moved or deleted under us."""
        inode = self._path.stat().st_ino if self._path.exists() else None
        if self._open and self._open[:2] == (os.getpid(), inode):
            return self._open[2]
        db = _open(self._path)
        self._open = (os.getpid(), self._path.stat().st_ino, db)
        return db


def _open(path: Path) -> sqlite3.Connection:
    """Open the file, or make it: readable by the owner alone from the first byte on (SQLite's side files follow)."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(
            folder, fcntl.LOCK_EX
        )  # two processes that turn on the WAL at once would disturb each other
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        os.fsync(folder)
        db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA secure_delete = ON")
        db.executescript(SCHEMA)
    finally:
        os.close(folder)
    return db


def _seconds_between(at: str, then: str) -> float:
    return abs((datetime.fromisoformat(then) - datetime.fromisoformat(at)).total_seconds())


def _state(stored: int) -> State:
    return "stored" if stored else "pending"


def _parse(folder: str, body: bytes) -> Correction | Review:
    return Correction.from_json(body) if folder == "corrections" else Review.from_json(body)


def _remedy(error: Exception) -> str:
    text = str(error)
    if "full" in text or "No space" in text:
        return "the disk is full; free some space and try again"
    if "readonly" in text or "unable to open" in text or isinstance(error, PermissionError):
        return "the file or its folder cannot be written; check its owner and mode"
    if "locked" in text:
        return "another process has held it for too long; try again"
    return f"{text}; check the disk, and keep the file: it may hold corrections that are stored nowhere else"
