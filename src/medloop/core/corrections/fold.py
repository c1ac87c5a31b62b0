"""The state of an image: the fold of all events about it, in any order and however often.

The rules are written down as a table in docs/s3-layout.md. Events are put in the order of their ids
(their time), so that the order of arrival does not matter, and counted once by id, so that
repetition does not. What is done with a state, such as waiting for a review, is
`medloop.core.corrections.correction_policy`'s part.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from medloop.core import none_of_these
from medloop.core.corrections.events import Correction, Review

Event = Correction | Review
Status = Literal["unreviewed", "approved", "conflict", "rejected", "withdrawn", "erased"]


@dataclass(frozen=True, slots=True)
class ImageState:
    """The state of one image. `label` counts only if unreviewed or approved; None: no class."""

    image_sha256: str
    status: Status
    label: str | None = None
    who: tuple[str, ...] = ()  # people whose answer is `label`, sorted
    answers: tuple[tuple[str, str | None], ...] = ()  # each person's that counts, by person
    event_ids: tuple[str, ...] = ()  # the corrections behind `answers`, oldest first
    flags: tuple[str, ...] = ()  # what the screening found, for unreviewed ones
    decided_by: str | None = None  # the reviewer
    why: str = ""  # the reviewer's reason, or why nothing could be decided
    against: tuple[str, ...] = ()  # people whose answer has differed since it was approved, sorted
    alone: bool = False  # unreviewed, on the word of one person who is no reviewer
    overrules: str = ""  # the confident answer that this one person contradicts, in words

    @property
    def counts(self) -> bool:
        """Tell whether `label` says something."""
        return self.status in ("unreviewed", "approved")


def fold(events: Iterable[Event]) -> dict[str, ImageState]:
    """Fold events into states, by image hash."""
    about: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        # A trial says something of the person alone.
        if not (isinstance(event, Review) and event.action == "trial"):
            about[event.image_sha256].append(event)
    return {sha256: fold_image(sha256, of_image) for sha256, of_image in about.items()}


def fold_image(image_sha256: str, events: Sequence[Event]) -> ImageState:
    """Derive the state of one image from all events about it, in any order."""
    if len(events) == 1 and isinstance(only := events[0], Correction):
        return _unanimous(image_sha256, [only], [])  # most images, by far
    ordered = [event for _, event in sorted({event.id: event for event in events}.items())]
    if any(isinstance(event, Review) and event.action == "erase" for event in ordered):
        return ImageState(image_sha256, "erased")
    standing = _without_withdrawn(ordered)
    corrections = [event for event in standing if isinstance(event, Correction)]
    reviews = [event for event in standing if isinstance(event, Review)]
    flags = [review for review in reviews if review.action in ("flag", "doubt")]
    for decision in reversed(reviews):
        state = _decided(image_sha256, decision, corrections, flags)
        if state is not None:
            return state
    return _undecided(image_sha256, _last_answers(corrections), flags)


def _without_withdrawn(ordered: Sequence[Event]) -> list[Event]:
    """Leave out what a withdrawal voids: all that the same person said before it."""
    withdrawn_at = {
        event.who: event.id
        for event in ordered
        if isinstance(event, Review) and event.action == "withdraw"
    }
    return [event for event in ordered if event.id > withdrawn_at.get(event.who, "")]


def _last_answers(corrections: Sequence[Correction]) -> list[Correction]:
    """Choose the last correction per person, in the order of their ids."""
    last = {correction.who: correction for correction in corrections}
    return sorted(last.values(), key=lambda correction: correction.id)


def _decided(
    image_sha256: str, decision: Review, corrections: Sequence[Correction], flags: Sequence[Review]
) -> ImageState | None:
    """Derive the state from a reviewer's decision; None if it decides nothing.

    A decision is about the answers and flags that came before it. Later answers that contradict it
    are shown but do not undo it; only a rejection can be answered, by a label that was not among
    those rejected.
    """
    before = _last_answers([c for c in corrections if c.id < decision.id])
    labels = {c.given_label for c in before}
    if decision.action == "relabel":
        return _approved(image_sha256, decision, decision.label, corrections)
    if decision.action == "approve" and len(labels) == 1:
        return _approved(image_sha256, decision, next(iter(labels)), corrections)
    if decision.action == "reject":
        fresh = [c for c in corrections if c.id > decision.id and c.given_label not in labels]
        if fresh:
            return _undecided(
                image_sha256,
                _last_answers(fresh),
                [flag for flag in flags if flag.id > decision.id],
            )
        return ImageState(image_sha256, "rejected", decided_by=decision.who, why=decision.why)
    return None


def _approved(
    image_sha256: str, decision: Review, label: str | None, corrections: Sequence[Correction]
) -> ImageState:
    last = _last_answers(corrections)
    against = tuple(sorted(c.who for c in last if c.given_label != label and c.id > decision.id))
    disputed = f"disputed since by {len(against)}" if against else ""
    return ImageState(
        image_sha256,
        "approved",
        label=label,
        who=tuple(sorted(c.who for c in last if c.given_label == label)),
        answers=_answers(last),
        event_ids=tuple(c.id for c in last),
        decided_by=decision.who,
        why="; ".join(filter(None, (decision.why, disputed))),
        against=against,
    )


def _undecided(
    image_sha256: str, last: Sequence[Correction], flags: Sequence[Review]
) -> ImageState:
    labels = {c.given_label for c in last}
    if not labels:
        return ImageState(image_sha256, "withdrawn")
    if len(labels) == 1:
        return _unanimous(image_sha256, last, flags)
    named = ", ".join(sorted(none_of_these.describe(label) for label in labels))
    return ImageState(
        image_sha256,
        "conflict",
        answers=_answers(last),
        event_ids=tuple(c.id for c in last),
        flags=_reasons(flags),
        why=f"people disagree: {named}",
    )


def _unanimous(
    image_sha256: str, last: Sequence[Correction], flags: Sequence[Review]
) -> ImageState:
    """Derive the state of an image of which all say the same: a second person settles a doubt."""
    first, alone = last[0], len(last) == 1 and last[0].by_reviewer is False
    return ImageState(
        image_sha256,
        "unreviewed",
        label=first.given_label,
        who=tuple(sorted(c.who for c in last)),
        answers=_answers(last),
        event_ids=tuple(c.id for c in last),
        flags=_reasons(flag for flag in flags if alone or flag.action == "flag"),
        alone=alone,
        overrules=f"version {first.model_version} was confident of {first.predicted_label}"
        if alone and first.overrules
        else "",
    )


def _reasons(flags: Iterable[Review]) -> tuple[str, ...]:
    return tuple(sorted({flag.why for flag in flags}))


def _answers(last: Sequence[Correction]) -> tuple[tuple[str, str | None], ...]:
    return tuple(sorted(((c.who, c.given_label) for c in last), key=lambda answer: answer[0]))
