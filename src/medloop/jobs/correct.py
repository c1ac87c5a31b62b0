"""Takes what a person says: onto this machine's disk at once, into S3 as soon as it answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from medloop.core.corrections.correction_policy import SECOND_WORD
from medloop.core.corrections.events import Correction
from medloop.core.corrections.snapshot import touched
from medloop.core.imaging.decode import DecodedImage, encode_png
from medloop.errors import ReviewError
from medloop.jobs.context import Context
from medloop.stores.outbox import Receipt

if TYPE_CHECKING:
    from medloop.core.prediction.predictor import Prediction

Source = Literal["page", "cli"]
NOTHING_SAID: Final = (
    "You have said nothing about this picture on this machine: there is nothing to take back."
)


@dataclass(frozen=True, slots=True)
class Statement:
    """A person's answer about one image, before it is an event."""

    image: DecodedImage  # what was shown
    given_label: str | None  # the right class; None for "none of these"
    prediction: Prediction | None = None  # None if nothing was predicted
    model_version: str | None = None  # that predicted it
    note: str = ""  # the person's remark


def correct(
    context: Context,
    *,
    image: DecodedImage,
    given_label: str | None,
    prediction: Prediction | None,
    model_version: str | None,
    who: str,
    by_reviewer: bool = False,
    source: Source = "page",
    note: str = "",
) -> Receipt:
    """Record one correction or confirmation; see `Statement` and `correct_all`."""
    statement = Statement(image, given_label, prediction, model_version, note)
    (receipt,) = correct_all(context, [statement], who=who, by_reviewer=by_reviewer, source=source)
    return receipt


def correct_all(
    context: Context,
    statements: Iterable[Statement],
    *,
    who: str,
    by_reviewer: bool = False,
    source: Source = "page",
) -> list[Receipt]:
    """Record corrections or confirmations at once; of an upload only the pixels are kept.

    Args:
        context: The stores. Its sender carries the events on, if it runs.
        statements: Taken one after the other, so that one image at a time need be in memory.
        who: The person's name; only its identity is stored.
        by_reviewer: If they may review. Else somebody has to agree with what contradicts a
            confident answer.
        source: Where it was said.

    Raises:
        StoreError: Nothing could be saved; the person must be told.
    """
    person = context.identify(who)
    events = []
    for said in statements:
        newest = context.outbox.newest_id(person, said.image.sha256)
        identifier, at = context.new_event(after=newest)
        found = said.prediction
        event = Correction(
            id=identifier,
            at=at,
            image_sha256=said.image.sha256,
            given_label=said.given_label,
            predicted_label=found.label if found else None,
            confidence=round(float(found.confidence), 6) if found else None,
            verdict=found.verdict if found else None,
            model_version=said.model_version,
            who=person,
            source=source,
            note=said.note,
            by_reviewer=by_reviewer,
        )
        events.append((event, encode_png(said.image.pixels)))
    receipts = context.outbox.add_all(events)
    context.sender.wake()
    return receipts


def explain_weight(
    prediction: Prediction | None, given_label: str | None, *, by_reviewer: bool
) -> str:
    """Say what a correction of a confident answer needs to be learned; "" of any other."""
    if prediction is None or prediction.verdict != "confident" or prediction.label == given_label:
        return ""
    enough = "you are corrector and reviewer in one, so your word is enough"
    needs = enough if by_reviewer else f"{SECOND_WORD} before it is learned"
    return f"The model was confident of {prediction.label}: {needs}."


def withdraw(context: Context, *, image_sha256: str, who: str, why: str = "") -> Receipt:
    """Take back all that this person said of one image; see `withdraw_all`."""
    (receipt,) = withdraw_all(context, [image_sha256], who=who, why=why)
    return receipt


def withdraw_all(
    context: Context, images: Iterable[str], *, who: str, why: str = ""
) -> list[Receipt]:
    """Take back all that this person said of some images, if no snapshot holds a last answer.

    Raises:
        ReviewError: They said nothing of one on this machine, or a snapshot holds it; nothing was
            taken back.
        StoreError: Nothing could be saved, or the snapshots cannot be asked.
    """
    person, stored, events = context.identify(who), [], []
    for sha256 in images:
        said = context.outbox.history(person, 1, image_sha256=sha256)
        if not said:
            raise ReviewError(NOTHING_SAID)
        # What waits for the store is in no snapshot: it can be taken back while it is away.
        if isinstance(said[0].event, Correction) and said[0].state == "stored":
            stored.append(said[0].event.id)
        after = context.outbox.newest_id(person, sha256)
        events.append(context.new_review("withdraw", sha256, who=who, why=why, after=after))
    if stored:
        _refuse_if_in_snapshot(context, stored)
    receipts = context.outbox.add_reviews(events)
    context.sender.wake()
    return receipts


def _refuse_if_in_snapshot(context: Context, event_ids: Sequence[str]) -> None:
    latest = context.snapshots.latest()
    if latest is None or not latest.chunks:
        return
    chunks = [latest.chunks[index] for index in touched(latest.chunks, event_ids)]
    held = {record.id for records in context.snapshots.events(chunks) for record in records}
    if not held.isdisjoint(event_ids):
        raise ReviewError(
            f"This answer is in snapshot {latest.snapshot_id[:8]} and cannot be taken back any "
            "more. Classify the picture again and give the right answer: your newest one counts."
        )
