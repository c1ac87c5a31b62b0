"""Takes what a person says: onto this machine's disk at once, into S3 as soon as it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from medloop.core.corrections.events import Correction
from medloop.core.corrections.snapshot import touched
from medloop.core.imaging.decode import DecodedImage, encode_png
from medloop.errors import ReviewError
from medloop.jobs.context import Context
from medloop.stores.outbox import Receipt

if TYPE_CHECKING:
    from medloop.core.prediction.predictor import Prediction


def correct(
    context: Context,
    *,
    image: DecodedImage,
    given_label: str | None,
    prediction: Prediction | None,
    model_version: str | None,
    who: str,
    source: Literal["page", "cli"] = "page",
    note: str = "",
) -> Receipt:
    """Record a correction or a confirmation; of the upload only the pixels are kept.

    The right class is `given_label`, None for "none of these". Of the person's name `who` only the
    identity is stored. The context's sender carries the event on, if it runs.

    Raises:
        StoreError: Nothing could be saved; the person must be told.
    """
    person = context.identify(who)
    identifier, at = context.new_event(after=context.outbox.newest_id(person, image.sha256))
    event = Correction(
        id=identifier,
        at=at,
        image_sha256=image.sha256,
        given_label=given_label,
        predicted_label=prediction.label if prediction else None,
        confidence=round(float(prediction.confidence), 6) if prediction else None,
        verdict=prediction.verdict if prediction else None,
        model_version=model_version,
        who=person,
        source=source,
        note=note,
    )
    receipt = context.outbox.add(event, encode_png(image.pixels))
    context.sender.wake()
    return receipt


def withdraw(context: Context, *, image_sha256: str, who: str, why: str = "") -> Receipt:
    """Take back all that this person said of the image, if no snapshot holds their last answer.

    Raises:
        ReviewError: They said nothing on this machine, or a snapshot holds it; nothing was taken
            back.
        StoreError: Nothing could be saved, or the snapshots cannot be asked.
    """
    person = context.identify(who)
    said = context.outbox.history(person, 1, image_sha256=image_sha256)
    if not said:
        raise ReviewError(
            "You have said nothing about this picture on this machine: "
            "there is nothing to take back."
        )
    last = said[0]
    # What waits for the store is in no snapshot: it can be taken back while the store is away.
    if isinstance(last.event, Correction) and last.state == "stored":
        _refuse_if_in_snapshot(context, last.event)
    after = context.outbox.newest_id(person, image_sha256)
    receipt = context.outbox.add_review(
        context.new_review("withdraw", image_sha256, who=who, why=why, after=after)
    )
    context.sender.wake()
    return receipt


def _refuse_if_in_snapshot(context: Context, correction: Correction) -> None:
    latest = context.snapshots.latest()
    if latest is None or not latest.chunks:
        return
    chunks = [latest.chunks[index] for index in touched(latest.chunks, [correction.id])]
    held = {record.id for records in context.snapshots.events(chunks) for record in records}
    if correction.id in held:
        raise ReviewError(
            f"This answer is in snapshot {latest.snapshot_id[:8]} and cannot be taken back any "
            "more. Classify the picture again and give the right answer: your newest one counts."
        )
