"""Reviewing: what waits and why, and what a reviewer decides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from medloop.core.acceptance import Decision, decide
from medloop.core.decode import decode
from medloop.core.events import Correction, Review
from medloop.core.fold import Event, fold
from medloop.core.reliability import Reliability, reliabilities
from medloop.errors import ReviewError
from medloop.jobs.honeypots import mixed, pixels_of, trial
from medloop.jobs.loop import Loop
from medloop.jobs.snapshot import gather, policy_of
from medloop.stores.outbox import Receipt

Verdict = Literal["approve", "reject", "relabel"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """One image that waits for a reviewer, with what people and the model said of it."""

    decision: Decision
    corrections: tuple[Correction, ...]  # oldest first
    known_label: str | None = None  # of a honeypot: its class, which the reviewer must not see

    @property
    def image_sha256(self) -> str:
        """Which image."""
        return self.decision.state.image_sha256

    @property
    def conflict(self) -> bool:
        """Whether people disagree, so that there is nothing to approve."""
        return self.decision.state.status == "conflict"


def queue(loop: Loop, *, who: str | None = None) -> list[Waiting]:
    """What waits for a reviewer, the oldest first; what was decided a moment ago on this machine is gone already.

    For a reviewer (`who`, a name) honeypots are mixed in, where the settings say so.
    """
    events = all_events(loop)
    policy = policy_of(loop.settings)
    pending = {d.state.image_sha256: d for d in decide(fold(events).values(), policy) if d.verdict == "pending"}
    said: dict[str, list[Correction]] = defaultdict(list)
    for event in events:
        if isinstance(event, Correction) and event.image_sha256 in pending:
            said[event.image_sha256].append(event)
    waiting = [
        Waiting(decision, tuple(sorted(said[sha256], key=lambda correction: correction.id)))
        for sha256, decision in pending.items()
    ]
    waiting.sort(key=lambda item: item.decision.state.event_ids)
    return mixed(loop, waiting, events, who=who) if who and loop.settings.honeypots else waiting


def picture(loop: Loop, item: Waiting) -> np.ndarray:
    """What an item shows, grey uint8 [H, W].

    Raises:
        MedloopError: It cannot be read.
    """
    if item.known_label is not None:
        return pixels_of(loop, item.image_sha256)
    return decode(loop.corrections.image(item.image_sha256)).pixels


def people(loop: Loop) -> list[Reliability]:
    """How reliable everybody's answers were, the least reliable first."""
    events = all_events(loop)
    return reliabilities(events, fold(events).values())


def all_events(loop: Loop) -> list[Event]:
    """Every event in the store, by the latest snapshot and what came since, and what this machine has yet to send."""
    unsent = loop.outbox.unsent()  # before the store is read: what is sent in between is then seen twice, not never
    gathered = gather(loop)
    old = loop.snapshots.all_events(gathered.previous) if gathered.previous else []
    new = [event for event in (record.parse() for record in gathered.new) if event is not None]
    return [*{event.id: event for event in (*old, *new, *unsent)}.values()]


def review(
    loop: Loop, *, items: Iterable[Waiting], verdict: Verdict, who: str, label: str | None = None, why: str = ""
) -> list[Receipt]:
    """Decide about images in the queue; on this machine's disk when it returns, in S3 soon after.

    Args:
        loop: The stores.
        items: The images, as `queue` gave them.
        verdict: What is decided about all of them.
        who: The reviewer's name; only its identity is stored.
        label: For `relabel`: the right class, None for none of these.
        why: The reviewer's reason.

    Raises:
        ReviewError: A conflict cannot be approved; nothing was decided.
        StoreError: Nothing could be saved.
    """
    chosen: Sequence[Waiting] = list(items)
    if verdict == "approve" and (disputed := [item for item in chosen if item.conflict]):
        raise ReviewError(
            f"image {disputed[0].image_sha256[:12]}: {disputed[0].decision.state.why}. There is nothing to approve: "
            "relabel it with the right class, or reject it"
        )
    decide_one = partial(_decision, loop, verdict=verdict, who=who, label=label, why=why)
    receipts = [loop.outbox.add_review(decide_one(item)) for item in chosen]
    loop.sender.wake()
    return receipts


def _decision(loop: Loop, item: Waiting, *, verdict: Verdict, who: str, label: str | None, why: str) -> Review:
    if item.known_label is not None:
        answer = item.decision.state.label if verdict == "approve" else label
        return trial(
            loop, image_sha256=item.image_sha256, known=item.known_label, answer=answer, decided=verdict != "reject",
            who=who,
        )  # fmt: skip
    identifier, at = loop.new_event()
    return Review(
        id=identifier,
        at=at,
        image_sha256=item.image_sha256,
        action=verdict,
        label=label if verdict == "relabel" else None,
        who=loop.identify(who),
        why=why,
    )
