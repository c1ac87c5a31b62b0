"""Actions of Classify, My corrections and Review. Each requires its role; no widgets."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from medloop.app.kit.access import User
from medloop.app.kit.workbench import GivenAnswer, Source, UploadedPicture, Workbench
from medloop.app.process.backend import Backend
from medloop.core.corrections.correction_policy import Waiting
from medloop.core.imaging.decode import Limits, decode
from medloop.errors import ReviewError
from medloop.jobs.correct import Statement, correct_all, withdraw_all
from medloop.jobs.review import Verdict
from medloop.jobs.review import review as review_job
from medloop.serving import Served

STORED_WITHIN_S: Final = 0.25  # how long a click waits, so that "stored" usually shows at once
TOGETHER: Final = 50  # pictures that are saved in one piece: as PNGs they are in memory until then
BATCH: Final = 16  # pictures between two movements of the progress bar
CLEARANCE: Final = "No name or date of a patient is in this picture"
UNCLEARED: Final = (
    f"Nothing is saved: this picture may name a patient. Please look, and tick “{CLEARANCE}” "
    "if that is true."
)
SHOWN_EVERY_S: Final = 0.7  # of classifying before the page draws what there is, which takes time


def limits(backend: Backend) -> Limits:
    """Read the limits of one file from the settings."""
    return Limits(max_bytes=backend.settings.max_upload_mb * 2**20)


def classify(
    backend: Backend, bench: Workbench, fresh: Sequence[Source], served: Served
) -> Iterator[int]:
    """Classify files in small batches, yield the number left, and stop when it is time to draw."""
    until = time.monotonic() + SHOWN_EVERY_S
    for start in range(0, len(fresh), BATCH):
        batch = fresh[start : start + BATCH]
        began = time.monotonic()
        added = bench.add(batch, served, limits=limits(backend))
        backend.recorder.took(len(batch), time.monotonic() - began)
        note(backend, bench, added, served)
        yield len(fresh) - start - len(batch)
        if time.monotonic() >= until:
            return


def note(
    backend: Backend, bench: Workbench, pictures: Iterable[UploadedPicture], served: Served
) -> None:
    """Have these answers noted for the monitor, without the examples: they are no news."""
    answers = [
        (picture.sha256, picture.prediction)
        for picture in pictures
        if picture.source.id not in bench.examples
    ]
    if answers:
        backend.recorder.note(served, answers)


def answer(backend: Backend, bench: Workbench, *, id_: str, label: str | None, user: User) -> None:
    """Answer the picture that is looked at, as a button of it asks.

    The same answer again, the tail of a double click, and a button of a picture that is no longer
    shown change nothing. Raises as `answer_all` does.
    """
    user.require("correct")
    picture = bench.pictures.get(id_)
    if picture is None or id_ != bench.current_id:
        return
    if not bench.is_double_click(picture, label, at=time.monotonic()):
        answer_all(backend, bench, {id_: label}, user=user)


def answer_all(
    backend: Backend, bench: Workbench, labels: Mapping[str, str | None], *, user: User
) -> int:
    """Hand answers to the outbox at once, and look at the next open picture; return how many.

    Left out and still chosen is what may name a patient, if nobody has said that it does not.

    Args:
        backend: With the outbox.
        bench: With the pictures.
        labels: By source id; None is none of these.
        user: Who says so.

    Raises:
        AccessError: The user may not correct.
        ReviewError: Each of the pictures may name a patient.
        StoreError: The outbox on this machine cannot be written.
    """
    user.require("correct")
    unclear = {id_ for id_ in labels if not bench.may_be_stored(bench.pictures[id_])}
    if labels and not labels.keys() - unclear:
        raise ReviewError(UNCLEARED)
    ready = {  # each content once
        bench.pictures[id_].sha256: id_ for id_ in labels if id_ not in unclear
    }
    following = bench.next_open(besides=ready)
    new = [id_ for id_ in ready.values() if not _is_said(bench, id_, labels[id_])]
    at = time.monotonic()
    for start in range(0, len(new), TOGETHER):
        part = {id_: labels[id_] for id_ in new[start : start + TOGETHER]}
        bench.record(_send(backend, bench, part, user=user, at=at))
    bench.choose(bench.chosen - (labels.keys() - unclear))
    if len(bench.order) > 1 and following:
        bench.go(following)
    return len(new)


def settle(backend: Backend, bench: Workbench) -> None:
    """Wait a moment for the newest answer to be stored."""
    if last := bench.last():
        backend.context.sender.settle(last[-1].event_id, STORED_WITHIN_S)
        refresh(backend, bench)


def undo(backend: Backend, bench: Workbench, *, user: User) -> None:
    """Take back what was answered last, at once, and look at its first picture again."""
    user.require("correct")
    if hashes := [given.sha256 for given in bench.last()]:
        withdraw_all(backend.context, hashes, who=user.name)
        bench.withdraw(hashes)


def withdraw(backend: Backend, *, image_sha256: str, user: User) -> None:
    """Take back what the user said about a picture.

    Raises:
        AccessError: The user may not correct.
        ReviewError: It is too late.
        StoreError: It cannot be known whether it is too late, or nothing could be saved.
    """
    user.require("correct")
    withdraw_all(backend.context, [image_sha256], who=user.name)


def decide(
    backend: Backend,
    items: Sequence[Waiting],
    verdict: Verdict,
    *,
    user: User,
    label: str | None = None,
    why: str = "",
) -> None:
    """Decide the same about some pictures that wait for a reviewer.

    Raises:
        AccessError: The user may not review.
        ReviewError: Nothing was decided: there is no picture, it is a conflict that cannot be
            approved, or somebody else has to decide.
        StoreError: Nothing could be saved.
    """
    user.require("review")
    if not items:
        raise ReviewError("Please tick at least one picture first.")
    review_job(backend.context, items=items, verdict=verdict, who=user.name, label=label, why=why)


def refresh(backend: Backend, bench: Workbench) -> int:
    """Ask the outbox what became of the answers; returns how many still wait."""
    bench.refresh(backend.context.outbox.state)
    return bench.pending()


def _is_said(bench: Workbench, id_: str, label: str | None) -> bool:
    given = bench.answers.get(bench.pictures[id_].sha256)
    return given is not None and given.label == label


def _send(
    backend: Backend, bench: Workbench, labels: Mapping[str, str | None], *, user: User, at: float
) -> list[GivenAnswer]:
    pictures = [bench.pictures[id_] for id_ in labels]
    statements = (
        Statement(
            decode(
                picture.source.read(),
                limits=limits(backend),
                frame=picture.shown_frame,
                window=picture.window,
            ),
            given_label=labels[picture.source.id],
            prediction=picture.prediction,
            model_version=picture.version,
        )
        for picture in pictures
    )
    receipts = correct_all(
        backend.context, statements, who=user.name, by_reviewer=user.may("review")
    )
    when = backend.context.now().isoformat(timespec="seconds")
    return [
        GivenAnswer(
            picture.sha256,
            picture.source.id,
            label=labels[picture.source.id],
            event_id=receipt.event_id,
            state=receipt.state,
            at=at,
            who=user.name,
            when=when,
        )
        for picture, receipt in zip(pictures, receipts, strict=True)
    ]
