"""Screens what came in since the last snapshot, and flags what looks wrong for a reviewer.

A flag is an event like any other, with an id that follows from the correction and the reason, so that screening twice
or at once writes each flag once. What a snapshot holds is not screened again.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np

from medloop.core.events import Correction, Review, event_id, event_time
from medloop.core.fold import ImageState, fold
from medloop.core.holdout import shapes
from medloop.core.reliability import Reliability, distrusted, reliabilities
from medloop.core.screening import Label, careless, look_alikes, neighbour_disagreement
from medloop.core.snapshot import Manifest
from medloop.jobs.loop import Loop
from medloop.jobs.opinion import only_voice, opinions
from medloop.jobs.snapshot import gather, read_pixels

BY: Final = "screening"  # who a flag is from
CARELESS: Final = "this person's corrections are contradicted far more often than other people's"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Screened:
    """How many images were looked at, and the reasons for those flagged, by image hash."""

    looked_at: int
    flagged: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class _Labelled:
    """Images that are not decided upon, or approved, and what is said of them."""

    states: tuple[ImageState, ...]
    looks: np.ndarray  # float32 [N, D]

    @property
    def labels(self) -> tuple[Label, ...]:
        return tuple(state.label for state in self.states)


def screen(loop: Loop) -> Screened:
    """Flag new corrections that look wrong, unless the settings trust all or have all reviewed anyway."""
    if loop.settings.review != "suspicious":
        return Screened(0, {})
    gathered = gather(loop.corrections, loop.snapshots)
    new = [event for event in (record.parse() for record in gathered.new) if event is not None]
    corrected = {event.image_sha256 for event in new if isinstance(event, Correction)}
    if not corrected:
        return Screened(0, {})
    old = loop.snapshots.all_events(gathered.previous) if gathered.previous else []
    states = fold([*old, *new])
    undecided = sorted(sha256 for sha256 in corrected if states[sha256].status == "unreviewed")
    pixels = read_pixels(loop.corrections, undecided)
    candidates = _labelled(states, pixels)
    known = _known(loop, gathered.previous, states, but=corrected)
    learned = {event.image_sha256 for event in old}
    asked = {sha256: image for sha256, image in pixels.items() if sha256 not in learned}
    people = reliabilities([*old, *new], states.values())
    said = opinions(loop, states, asked=asked, previous=gathered.previous)
    found = [
        _look_alikes(loop, candidates, known),
        _crowd(candidates, known),
        *zip(*(said.get(state.image_sha256, ("", "")) for state in candidates.states), strict=True),
        _doubts(candidates, distrusted(people, loop.settings.least_reliability)),
    ]
    found.append(_careless(candidates, [any(whys) for whys in zip(*found, strict=True)]))
    reasons = [(state, tuple(filter(None, whys))) for state, *whys in zip(candidates.states, *found, strict=True)]
    reasons = [(state, whys) for state, whys in reasons if whys]
    for state, whys in reasons:
        for why in whys:
            _flag(loop, state, why)
    log.info("screening: %d images looked at, %d flagged", len(candidates.states), len(reasons))
    return Screened(len(candidates.states), {state.image_sha256: whys for state, whys in reasons})


def _labelled(states: Mapping[str, ImageState], pixels: Mapping[str, np.ndarray]) -> _Labelled:
    chosen = [sha256 for sha256 in sorted(pixels) if states[sha256].counts]
    images = np.stack([pixels[sha256] for sha256 in chosen]) if chosen else np.zeros((0, 64, 64), np.uint8)
    return _Labelled(tuple(states[sha256] for sha256 in chosen), shapes(images))


def _known(
    loop: Loop, previous: Manifest | None, states: Mapping[str, ImageState], *, but: Collection[str]
) -> _Labelled:
    """What the previous snapshot holds, without the images in question."""
    parts = [_labelled(states, {})]
    for chunk in previous.chunks if previous else ():
        pixels = loop.snapshots.images(chunk)
        parts.append(_labelled(states, {sha256: pixels[sha256] for sha256 in pixels.keys() - set(but)}))
    return _Labelled(
        tuple(state for part in parts for state in part.states), np.concatenate([part.looks for part in parts])
    )


def _look_alikes(loop: Loop, candidates: _Labelled, known: _Labelled) -> list[str]:
    """What nearly the same picture is known as, if as something else: a reason or "" for each candidate."""
    base = loop.datasets.get(loop.settings.base_dataset)
    return look_alikes(
        candidates.looks,
        candidates.labels,
        index=np.concatenate([candidates.looks, known.looks, shapes(base.images)]),
        index_labels=(*candidates.labels, *known.labels, *(base.labels[target] for target in base.targets)),
        own=np.arange(len(candidates.states)),
    )


def _crowd(candidates: _Labelled, known: _Labelled) -> list[str]:
    """What other people said of similar pictures: a reason or "" for each candidate."""
    reasons = [""] * len(candidates.states)
    for who in {state.who for state in candidates.states}:
        rows = [row for row, state in enumerate(candidates.states) if state.who == who]
        others = [row for row, state in enumerate(known.states) if not set(state.who) & set(who)]
        found = neighbour_disagreement(
            candidates.looks[rows],
            [candidates.labels[row] for row in rows],
            index=known.looks[others],
            index_labels=[known.labels[row] for row in others],
        )
        for row, why in zip(rows, found, strict=True):
            reasons[row] = why
    return reasons


def _doubts(candidates: _Labelled, people: Mapping[str, Reliability]) -> list[str]:
    """Where nobody but people who were often wrong says so: a reason or "" for each candidate."""
    return [
        "this person was often wrong where the answer is known" if people.keys() >= set(state.who) else ""
        for state in candidates.states
    ]


def _careless(candidates: _Labelled, contradicted: Sequence[bool]) -> list[str]:
    """What rests on the word of somebody whose corrections do not fit: a reason or "" for each candidate."""
    people = [only_voice(state) for state in candidates.states]
    found = careless(people, contradicted)
    return [CARELESS if who in found else "" for who in people]


def _flag(loop: Loop, state: ImageState, why: str) -> None:
    last = state.event_ids[-1]
    at = event_time(last) + timedelta(milliseconds=1)
    chance = hashlib.sha256(f"{last} {why}".encode()).digest()[:10]
    flag = Review(
        id=event_id(now=at, random=chance),
        at=at.isoformat(timespec="milliseconds"),
        image_sha256=state.image_sha256,
        action="flag",
        label=None,
        who=BY,
        why=why,
    )
    loop.corrections.put_review(flag, day=loop.now().strftime("%Y-%m-%d"))
