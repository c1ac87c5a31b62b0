"""Actions of Classify, My corrections and Review. Each requires its role; no widgets."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from medloop.app.kit.access import User
from medloop.app.kit.workbench import GivenAnswer, Source, UploadedPicture, Workbench
from medloop.app.process.backend import Backend
from medloop.core.corrections.correction_policy import Waiting
from medloop.core.imaging.decode import Limits, decode
from medloop.errors import ReviewError
from medloop.jobs.correct import correct
from medloop.jobs.correct import withdraw as withdraw_job
from medloop.jobs.review import Verdict
from medloop.jobs.review import review as review_job
from medloop.serving import Served

STORED_WITHIN_S: Final = 0.25  # how long a click waits, so that "stored" usually shows at once
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
    examples = {source.id for source in bench.examples}
    answers = [
        (picture.sha256, picture.prediction)
        for picture in pictures
        if picture.source.id not in examples
    ]
    if answers:
        backend.recorder.note(served, answers)


def answer(backend: Backend, bench: Workbench, *, id_: str, label: str | None, user: User) -> None:
    """Hand one answer to the outbox.

    The same answer again, the tail of a double click, and a button of a picture that is no longer
    shown change nothing.

    Raises:
        AccessError: The user may not correct.
        ReviewError: The picture may name a patient, and nobody has said that it does not.
        StoreError: The outbox on this machine cannot be written.
    """
    user.require("correct")
    picture = bench.pictures.get(id_)
    now = time.monotonic()
    if picture is None or id_ != bench.current_id or bench.is_double_click(picture, label, at=now):
        return
    given = bench.answers.get(picture.sha256)
    if given is None or given.label != label:
        _send(backend, bench, picture, label=label, user=user, wait_s=STORED_WITHIN_S)
    if len(bench.order) > 1 and (following := bench.next_open()):
        bench.go(following)


def confirm_confident(backend: Backend, bench: Workbench, *, user: User) -> int:
    """Confirm every confident answer that is still open; returns how many."""
    user.require("correct")
    pictures = bench.confident_open()
    for picture in pictures:
        _send(backend, bench, picture, label=picture.prediction.label, user=user, wait_s=0)
    if following := bench.next_open():
        bench.go(following)
    return len(pictures)


def undo(backend: Backend, bench: Workbench, *, user: User) -> None:
    """Take the newest answer back, and look at its picture again."""
    user.require("correct")
    if bench.last is None:
        return
    sha256 = bench.last.sha256
    withdraw(backend, image_sha256=sha256, user=user)
    bench.withdraw(sha256)


def withdraw(backend: Backend, *, image_sha256: str, user: User) -> None:
    """Take back what the user said about a picture.

    Raises:
        AccessError: The user may not correct.
        ReviewError: It is too late.
        StoreError: It cannot be known whether it is too late, or nothing could be saved.
    """
    user.require("correct")
    withdraw_job(backend.context, image_sha256=image_sha256, who=user.name)


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


def _send(
    backend: Backend,
    bench: Workbench,
    picture: UploadedPicture,
    *,
    label: str | None,
    user: User,
    wait_s: float,
) -> None:
    if not bench.may_be_stored(picture):
        raise ReviewError(UNCLEARED)
    image = decode(
        picture.source.read(),
        limits=limits(backend),
        frame=picture.shown_frame,
        window=picture.window,
    )
    receipt = correct(
        backend.context,
        image=image,
        given_label=label,
        prediction=picture.prediction,
        model_version=picture.version,
        who=user.name,
        by_reviewer=user.may("review"),
        source="page",
    )
    state = backend.context.sender.settle(receipt.event_id, wait_s) if wait_s else receipt.state
    bench.record(
        GivenAnswer(
            picture.sha256,
            picture.source.id,
            label=label,
            event_id=receipt.event_id,
            state=state,
            at=time.monotonic(),
        )
    )
