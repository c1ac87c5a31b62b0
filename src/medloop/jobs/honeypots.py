"""Mixes pictures with a known answer into the review queue, to rate reviewers. Off by default.

They come from the base data's training images and look like any correction that waits. What is said
of them is kept as a review event of its own kind, `trial`, which no fold and no training looks at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from medloop.core.corrections.correction_policy import PolicyDecision, Waiting
from medloop.core.corrections.events import Correction, Review, event_id, event_time
from medloop.core.corrections.fold import Event, ImageState
from medloop.core.data.datasets import scored
from medloop.core.data.splits import evenly
from medloop.core.imaging.decode import content_sha256
from medloop.jobs.context import Context

if TYPE_CHECKING:
    from medloop.stores.datasets import DatasetStore

KEPT: Final = 500  # images to choose from
WRONG: Final = 128  # of 256: every second one waits under a wrong label


@dataclass(frozen=True, slots=True, eq=False)
class KnownAnswer:
    """Images whose classes are beyond doubt."""

    images: np.ndarray  # uint8 [N, 64, 64]
    labels: tuple[str, ...]  # N
    classes: tuple[str, ...]
    sha256s: tuple[str, ...]  # N


def mix_in(
    context: Context, waiting: Sequence[Waiting], events: Iterable[Event], *, who: str
) -> list[Waiting]:
    """Put honeypots after some items, as often as set; the same queue gives the same ones.

    No picture is taken of which somebody said something in earnest, by all `events`, nor one that
    this reviewer has answered.
    """
    known = choose_known_images(context.datasets, context.settings.base_dataset)
    person = context.identify(who)
    taken = {event.image_sha256 for event in events if not is_trial(event) or event.who == person}
    found: list[Waiting] = []
    for item in waiting:
        found.append(item)
        chance = hashlib.sha256(f"honeypot {item.image_sha256}".encode()).digest()
        if int.from_bytes(chance[:4], "big") / 2**32 < context.settings.honeypots:
            # Where people sign in, nobody reviews themselves.
            barred = person if context.settings.oidc_issuer else None
            honeypot = _disguised(item, known, chance, but=taken, barred=barred)
            if honeypot is not None:
                found.append(honeypot)
                taken.add(honeypot.image_sha256)
    return found


def choose_pixels(context: Context, image_sha256: str) -> np.ndarray:
    """Choose a honeypot's picture, uint8 [64, 64]: it does not lie in the store."""
    known = choose_known_images(context.datasets, context.settings.base_dataset)
    return np.asarray(known.images[known.sha256s.index(image_sha256)])


def make_trial(
    context: Context, *, image_sha256: str, known: str, answer: str | None, decided: bool, who: str
) -> Review:
    """Make the event of one answer; leaving a picture out proves nothing (`decided` is False)."""
    outcome: Literal["right", "wrong", "left out"] = "left out"
    if decided:
        outcome = "right" if answer == known else "wrong"
    return context.new_review("trial", image_sha256, who=who, label=answer, why=outcome)


def is_trial(event: Event) -> bool:
    """Tell whether this is an answer to a honeypot."""
    return isinstance(event, Review) and event.action == "trial"


@lru_cache(maxsize=1)
def choose_known_images(datasets: DatasetStore, dataset_id: str | None) -> KnownAnswer:
    """Choose training images that show something, spread over the data set."""
    base = datasets.get(dataset_id)
    rows = base.split().train
    rows = evenly(rows[scored(base.images[rows])], KEPT)
    return KnownAnswer(
        images=base.images[rows],
        labels=tuple(base.labels[target] for target in base.targets[rows]),
        classes=tuple(base.labels),
        sha256s=tuple(content_sha256(image) for image in base.images[rows]),
    )


def _disguised(
    item: Waiting, known: KnownAnswer, chance: bytes, *, but: Collection[str], barred: str | None
) -> Waiting | None:
    """Make a honeypot that looks like its neighbour in the queue, from the same person.

    None where the choice fell on a picture that is taken, or on the person who may not review it.
    """
    row = int.from_bytes(chance[4:8], "big") % len(known.labels)
    sha256, truth = known.sha256s[row], known.labels[row]
    model = item.corrections[-1]
    if sha256 in but or model.who == barred:
        return None
    others = [label for label in known.classes if label != truth]
    other = others[chance[8] % len(others)]
    said, doubted = (other, truth) if chance[9] < WRONG else (truth, other)
    correction = _answer(model, chance, image_sha256=sha256, said=said, doubted=doubted)
    reason = f"nearly the same picture is known as {doubted}"
    state = ImageState(
        sha256,
        "unreviewed",
        label=said,
        who=(model.who,),
        answers=((model.who, said),),
        event_ids=(correction.id,),
        flags=(reason,),
    )
    decision = PolicyDecision(state, "pending", (reason,))
    return replace(item, decision=decision, corrections=(correction,), known_label=truth)


def _answer(
    model: Correction, chance: bytes, *, image_sha256: str, said: str, doubted: str
) -> Correction:
    """Make the correction that this person might have given, just after one that they gave."""
    return replace(
        model,
        id=event_id(now=event_time(model.id) + timedelta(milliseconds=1), random=chance[18:28]),
        image_sha256=image_sha256,
        given_label=said,
        predicted_label=doubted,
        confidence=0.5 + chance[28] / 600,
        verdict="unsure",
        source="page",
        note="",
    )
