"""Screens what came in since the last snapshot, and flags what looks wrong for a reviewer.

A flag is an event like any other, with an id that follows from the correction and the reason, so
that screening twice or at once writes each flag once. What a snapshot holds is not screened again,
so a snapshot to learn from is taken of what was screened and of nothing that came meanwhile:
`screened_snapshot`.

Pictures are compared with the base data, with each other and with the newest earlier corrections;
the cost of that is the same whatever the store holds. Only the search for earlier events about
these images goes through all events.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

import numpy as np

from medloop.core.corrections.correction_policy import SECOND_WORD
from medloop.core.corrections.events import Correction, Review, event_id, event_time
from medloop.core.corrections.fold import Event, ImageState, fold
from medloop.core.corrections.holdout import shapes
from medloop.core.corrections.reliability import Reliability, distrusted, reliabilities
from medloop.core.corrections.screening import Label, careless, look_alikes
from medloop.core.corrections.snapshot import EventRecord, events_about
from medloop.jobs.champion_opinion import Opinion, only_voice, opinions
from medloop.jobs.context import Context
from medloop.jobs.snapshot import (
    Gathered,
    SnapshotResult,
    gather,
    read_pixels,
    snapshot,
    take_in,
)
from medloop.progress import Progress, silent

BY: Final = "screening"  # who a flag is from
WRONG: Final = "this person was often wrong where the answer is known"
CARELESS: Final = "this person's corrections are contradicted far more often than other people's"
NO_OPINION: Final = Opinion(("", ""))
NEWEST_CHUNKS: Final = 5  # of about 1,000 events each, that new corrections are compared with

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Screened:
    """The number of images looked at, the reasons for those flagged, by hash, and the flags."""

    looked_at: int
    flagged: Mapping[str, tuple[str, ...]]
    flags: tuple[Review, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Labelled:
    """Images that are not decided upon, or approved, and what is said of them."""

    states: tuple[ImageState, ...]
    looks: np.ndarray  # float32 [N, D]

    @property
    def labels(self) -> tuple[Label, ...]:
        return tuple(state.label for state in self.states)


def screened_snapshot(
    context: Context, *, full: bool = False, progress: Progress = silent
) -> tuple[SnapshotResult, Screened]:
    """Screen what is new, and take a snapshot of just that; what comes meanwhile waits."""
    context.signatures.check_keys()
    gathered = gather(context, full=full, with_images=True)
    screened = screen(context, gathered)
    take_in(context.snapshots, gathered, screened.flags)
    return snapshot(context, gathered=gathered, progress=progress), screened


def screen(context: Context, gathered: Gathered | None = None) -> Screened:
    """Flag new corrections that look wrong, unless all are trusted or reviewed anyway.

    `gathered` is what is new, if it was looked for already.
    """
    if context.settings.review != "suspicious":
        return Screened(0, {})
    gathered = gathered or gather(context, with_images=True)
    parsed = (record.parse() for record in _unscreened(context, gathered))
    new = [event for event in parsed if event is not None]
    changed = {event.image_sha256 for event in new if _may_count_now(event)}
    if not changed:
        return Screened(0, {})
    earlier = _earlier_pixels(context, gathered)
    events = _events_about(context, gathered, changed | earlier.keys())
    states = fold(events)
    pixels = _undecided_pixels(context, gathered, states, changed)
    candidates = _labelled(states, pixels)
    known = _labelled(states, {sha256: earlier[sha256] for sha256 in earlier.keys() - changed})
    new_ids = {event.id for event in new}
    learned = {event.image_sha256 for event in events if event.id not in new_ids}
    said = opinions(
        context,
        states,
        asked={sha256: image for sha256, image in pixels.items() if sha256 not in learned},
        known={state.image_sha256: earlier[state.image_sha256] for state in known.states},
    )
    heard = [said.get(state.image_sha256, NO_OPINION) for state in candidates.states]
    found = [
        _look_alikes(context, candidates, known),
        *zip(*(opinion.against for opinion in heard), strict=True),
        _doubts(candidates, _distrusted(context, gathered)),
    ]
    doubts = [opinion.doubt for opinion in heard]
    return _flag_all(context, candidates, found, doubts)


def _flag_all(
    context: Context,
    candidates: _Labelled,
    found: Sequence[Sequence[str]],
    doubts: Sequence[str],
) -> Screened:
    """Flag the candidates for all reasons; `found` is a list per check, "" for no reason."""
    careless = _careless(candidates, [any(whys) for whys in zip(*found, strict=True)])
    reasons: dict[str, list[str]] = {}
    flags: list[Review] = []
    for state, doubt, *whys in zip(candidates.states, doubts, *found, careless, strict=True):
        raised = [flag(context, state, why) for why in filter(None, whys)]
        if doubt:
            raised.append(flag(context, state, f"{doubt}: {SECOND_WORD}", action="doubt"))
        if raised:
            reasons[state.image_sha256] = [event.why for event in raised]
        flags += raised
    log.info("screening: %d images looked at, %d flagged", len(candidates.states), len(reasons))
    flagged = {sha256: tuple(whys) for sha256, whys in reasons.items()}
    return Screened(len(candidates.states), flagged, tuple(flags))


def _undecided_pixels(
    context: Context, gathered: Gathered, states: Mapping[str, ImageState], changed: set[str]
) -> dict[str, np.ndarray]:
    """Give the pixels of changed images that no reviewer has decided about, by their hash."""
    undecided = sorted(sha256 for sha256 in changed if states[sha256].status == "unreviewed")
    pixels = {sha256: gathered.pixels[sha256] for sha256 in undecided if sha256 in gathered.pixels}
    return pixels | read_pixels(context.corrections, [s for s in undecided if s not in pixels])


def _unscreened(context: Context, gathered: Gathered) -> list[EventRecord]:
    """Choose what no snapshot holds. Whoever begins anew has gathered the rest, too."""
    if gathered.previous is not None or gathered.latest is None:
        return gathered.new
    held = context.snapshots.event_ids(gathered.latest)
    return [record for record in gathered.new if record.id not in held]


def _may_count_now(event: Event) -> bool:
    """Tell whether this may make an image count, as a withdrawal that ends a conflict does."""
    return isinstance(event, Correction) or event.action == "withdraw"


def _earlier_pixels(context: Context, gathered: Gathered) -> dict[str, np.ndarray]:
    """Read pixels of the newest corrections in the latest snapshot, by image hash."""
    pixels: dict[str, np.ndarray] = {}
    for chunk in gathered.latest.chunks[-NEWEST_CHUNKS:] if gathered.latest else ():
        pixels |= context.snapshots.images(chunk, lost_ok=gathered.previous is None)
    return pixels


def _events_about(context: Context, gathered: Gathered, image_sha256s: set[str]) -> list[Event]:
    """Find all events about these images, earlier and new."""
    old = (
        context.snapshots.events_about(gathered.previous, image_sha256s)
        if gathered.previous
        else []
    )
    return [*old, *events_about(gathered.new, image_sha256s)]


def _distrusted(context: Context, gathered: Gathered) -> Mapping[str, Reliability]:
    """Find who was often wrong; that takes all events, and so is not asked if it is off."""
    if not context.settings.least_reliability:
        return {}
    old = context.snapshots.all_events(gathered.previous) if gathered.previous else []
    events = [
        *old,
        *(event for event in (record.parse() for record in gathered.new) if event is not None),
    ]
    return distrusted(
        reliabilities(events, fold(events).values()), context.settings.least_reliability
    )


def _labelled(states: Mapping[str, ImageState], pixels: Mapping[str, np.ndarray]) -> _Labelled:
    chosen = [sha256 for sha256 in sorted(pixels) if states[sha256].counts]
    images = (
        np.stack([pixels[sha256] for sha256 in chosen])
        if chosen
        else np.zeros((0, 64, 64), np.uint8)
    )
    return _Labelled(tuple(states[sha256] for sha256 in chosen), shapes(images))


def _look_alikes(context: Context, candidates: _Labelled, known: _Labelled) -> list[str]:
    """Find look-alikes known as something else: a reason or "" for each candidate."""
    base = context.datasets.get(context.settings.base_dataset)
    return look_alikes(
        candidates.looks,
        candidates.labels,
        index=np.concatenate([candidates.looks, known.looks, shapes(base.images)]),
        index_labels=(
            *candidates.labels,
            *known.labels,
            *(base.labels[target] for target in base.targets),
        ),
    )


def _doubts(candidates: _Labelled, people: Mapping[str, Reliability]) -> list[str]:
    """Doubt what only people who were often wrong say: a reason or "" for each candidate."""
    return [WRONG if people.keys() >= set(state.who) else "" for state in candidates.states]


def _careless(candidates: _Labelled, contradicted: Sequence[bool]) -> list[str]:
    """Doubt whoever's corrections do not fit: a reason or "" for each candidate."""
    people = [only_voice(state) for state in candidates.states]
    found = careless(people, contradicted)
    return [CARELESS if who in found else "" for who in people]


def flag(
    context: Context, state: ImageState, why: str, *, action: Literal["flag", "doubt"] = "flag"
) -> Review:
    """Ask for a reviewer, or by a doubt for a second person or a reviewer.

    The same reason for the same correction is the same event.
    """
    last = state.event_ids[-1]
    at = event_time(last) + timedelta(milliseconds=1)
    chance = hashlib.sha256(f"{last} {why}".encode()).digest()[:10]
    asked = context.signatures.sign(
        Review(
            id=event_id(now=at, random=chance),
            at=at.isoformat(timespec="milliseconds"),
            image_sha256=state.image_sha256,
            action=action,
            label=None,
            who=BY,
            why=why,
        )
    )
    context.corrections.put_review(asked, day=context.now().strftime("%Y-%m-%d"))
    return asked
