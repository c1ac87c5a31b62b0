"""Reviewing: what waits and why, and what a reviewer decides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np

from medloop.core import none_of_these
from medloop.core.corrections.correction_policy import (
    SECOND_WORD,
    PolicyDecision,
    Waiting,
    decide,
)
from medloop.core.corrections.events import Correction, Review
from medloop.core.corrections.fold import Event
from medloop.core.corrections.reliability import Reliability, reliabilities
from medloop.core.imaging.decode import decode
from medloop.errors import ReviewError
from medloop.jobs.context import Context
from medloop.jobs.history import read_history
from medloop.jobs.honeypots import choose_pixels, make_trial, mix_in
from medloop.jobs.snapshot import policy_of
from medloop.stores.outbox import Receipt

Verdict = Literal["approve", "reject", "relabel"]


def queue(context: Context, *, who: str | None = None) -> list[Waiting]:
    """List what waits for a reviewer, oldest first, and approved images that somebody disputes.

    What was decided a moment ago on this machine is gone already. For a reviewer (`who`, a name)
    honeypots are mixed in, where the settings say so.
    """
    history = read_history(context)
    decisions = decide(history.states.values(), policy_of(context.settings))
    waiting = [
        _waiting(d, history.by_image[d.state.image_sha256]) for d in decisions if _needs_reviewer(d)
    ]
    waiting.sort(key=lambda item: item.decision.state.event_ids)
    if not who or not context.settings.honeypots:
        return waiting
    return mix_in(context, waiting, history.events(), who=who)


def describe_queue(context: Context) -> str:
    """Count what waits, in a line; "" if nothing does."""
    reasons = [item.decision.reasons for item in queue(context)]
    if not reasons:
        return ""
    n = len(reasons)
    images = "1 corrected image waits" if n == 1 else f"{n} corrected images wait"
    doubts = sum(all(why.endswith(SECOND_WORD) for why in whys) for whys in reasons)
    which = "it" if n == 1 else f"{doubts} of them"
    enough = f"; for {which} a second person's word is enough" if doubts else ""
    return f"{images} for a reviewer{enough}: see `medloop review list`"


def _needs_reviewer(decision: PolicyDecision) -> bool:
    return decision.verdict == "pending" or bool(decision.state.against)


def _waiting(decision: PolicyDecision, events: Sequence[Event]) -> Waiting:
    if against := decision.state.against:
        people = "1 person has" if len(against) == 1 else f"{len(against)} people have"
        label = none_of_these.describe(decision.state.label)
        reason = f"approved as {label}, and {people} said otherwise since"
        decision = replace(decision, reasons=(reason,))
    ordered = sorted(events, key=lambda event: event.id)
    corrections = tuple(event for event in ordered if isinstance(event, Correction))
    return Waiting(decision, corrections, newest_id=ordered[-1].id)


def picture(context: Context, item: Waiting) -> np.ndarray:
    """Read what an item shows, grey uint8 [H, W].

    Raises:
        MedloopError: It cannot be read.
    """
    if item.known_label is not None:
        return choose_pixels(context, item.image_sha256)
    return decode(context.corrections.image(item.image_sha256)).pixels


def people(context: Context) -> list[Reliability]:
    """Rate how reliable everybody's answers were, the least reliable first."""
    history = read_history(context)
    return reliabilities(history.events(), history.states.values())


def all_events(context: Context) -> list[Event]:
    """Read every event in the store, and what this machine has yet to send."""
    return read_history(context).events()


def review(
    context: Context,
    *,
    items: Iterable[Waiting],
    verdict: Verdict,
    who: str,
    label: str | None = None,
    why: str = "",
) -> list[Receipt]:
    """Decide about images in the queue; on this machine's disk when it returns, in S3 soon after.

    The verdict is on all of them; to approve one that is disputed stands by its label. `label` is
    for `relabel`: the right class, None for none of these. Of the reviewer's name `who` only the
    identity is stored.

    Raises:
        ReviewError: A conflict cannot be approved, nor one's own word where people sign in; nothing
            was decided.
        StoreError: Nothing could be saved.
    """
    chosen = list(items)
    for item in chosen:
        _check_verdict(context, item, verdict, who)
    decide_one = partial(_decision, context, verdict=verdict, who=who, label=label, why=why)
    receipts = [
        context.outbox.add_review(decide_one(item), about=item.decision.state.event_ids)
        for item in chosen
    ]
    context.sender.wake()
    return receipts


def _check_verdict(context: Context, item: Waiting, verdict: Verdict, who: str) -> None:
    if verdict == "approve" and item.conflict:
        raise ReviewError(
            f"image {item.image_sha256[:12]}: {item.decision.state.why}. "
            "There is nothing to approve: relabel it with the right class, or reject it"
        )
    if verdict != "reject" and is_own(context, item, who=who):
        raise ReviewError(
            f"image {item.image_sha256[:12]}: nobody but you has said what this picture shows, "
            "so somebody else has to review it. You can only leave it out"
        )


def is_own(context: Context, item: Waiting, *, who: str) -> bool:
    """Tell whether it is this reviewer's word alone, which is not enough where people sign in.

    The one local user has nobody else to ask.
    """
    said_by = {person for person, _ in item.decision.state.answers}
    return bool(context.settings.oidc_issuer) and said_by == {context.identify(who)}


def _decision(
    context: Context, item: Waiting, *, verdict: Verdict, who: str, label: str | None, why: str
) -> Review:
    state = item.decision.state
    if item.known_label is not None:
        answer = state.label if verdict == "approve" else label
        return make_trial(
            context,
            image_sha256=item.image_sha256,
            known=item.known_label,
            answer=answer,
            decided=verdict != "reject",
            who=who,
        )
    if verdict == "approve" and item.disputed:
        verdict, label = "relabel", state.label
    return context.new_review(
        verdict,
        item.image_sha256,
        who=who,
        label=label if verdict == "relabel" else None,
        why=why,
        after=item.newest_id,
    )
