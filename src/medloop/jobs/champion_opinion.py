"""Asks the champion what speaks against new corrections; `core.corrections.screening` weighs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from medloop.core.corrections.fold import ImageState
from medloop.core.corrections.screening import contradicted, outvoted
from medloop.core.data.splits import evenly
from medloop.core.prediction.model_contract import load_checked
from medloop.core.prediction.predictor import Predictor, RawOutputs
from medloop.core.prediction.similar_images import unit
from medloop.jobs.context import Context
from medloop.stores.registry import CHAMPION

BASE_IMAGES: Final = 3000  # of the base data's training part


@dataclass(frozen=True, slots=True)
class Opinion:
    """The champion's objections to a correction; reasons or ""."""

    against: tuple[str, str]  # for a reviewer
    doubt: str = ""  # for a reviewer or a second person


def opinions(
    context: Context,
    states: Mapping[str, ImageState],
    *,
    asked: Mapping[str, np.ndarray],
    known: Mapping[str, np.ndarray],
) -> dict[str, Opinion]:
    """Find what speaks against corrections in the champion's eyes, by image; {} without a champion.

    `asked` are images uint8 [64, 64] by their hash, which the champion did not train on. They vouch
    for each other, as earlier ones in `known` do. `states` are what people said of both.
    """
    champion = _champion(context) if asked else None
    if champion is None:
        return {}
    base = context.datasets.get(context.settings.base_dataset)
    rows = evenly(base.split().train, BASE_IMAGES)
    pictures = np.stack([*asked.values(), *known.values()])
    raw = champion.predict_arrays(np.concatenate([pictures, base.images[rows]]))
    n, seen = len(asked), unit(raw.embedding)
    corrections = [states[sha256] for sha256 in (*asked, *known)]
    people = [only_voice(state) for state in corrections]
    base_labels = [base.labels[target] for target in base.targets[rows]]
    labels = [*(state.label for state in corrections), *base_labels]
    reasons = contradicted(
        raw.probabilities[:n],
        seen[:n],
        labels[:n],
        classes=champion.metadata.labels,
        index=seen,
        index_labels=labels,
        pictures=pictures,
        people=people,
    )
    whose = [*people, *[""] * len(rows)]
    votes = outvoted(seen[:n], labels[:n], index=seen, index_labels=labels, index_people=whose)
    doubts = _doubts(champion, raw, corrections[:n])
    return {
        sha256: Opinion((why, vote), doubt)
        for sha256, why, vote, doubt in zip(asked, reasons, votes, doubts, strict=True)
    }


def _doubts(champion: Predictor, raw: RawOutputs, corrections: Sequence[ImageState]) -> list[str]:
    """Doubt one person's word where the champion by itself is confident of another class.

    What was shown may have been "unsure" for the file's colour or tags, or nothing.
    """
    answers = [champion.metadata.labels[best] for best in raw.probabilities.argmax(1)]
    return [
        f"the champion is confident of {answer}"
        if state.alone and not state.overrules and verdict == "confident" and answer != state.label
        else ""
        for state, answer, verdict in zip(
            corrections, answers, champion.verdicts(raw), strict=False
        )
    ]


def only_voice(state: ImageState) -> str | None:
    """Name the one person whose word a label rests on; None if several say so, or a reviewer."""
    return state.who[0] if len(state.who) == 1 and state.decided_by is None else None


def _champion(context: Context) -> Predictor | None:
    if context.settings.mlflow_tracking_uri is None:
        return None
    version = context.registry.version_of(CHAMPION)
    return load_checked(context.registry.model_file(version)) if version else None
