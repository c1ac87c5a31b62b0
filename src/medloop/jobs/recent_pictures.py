"""The last weeks' real pictures that are kept, and which of them two versions answer differently.

Kept are the pictures that people corrected or confirmed.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import numpy as np

from medloop.core.corrections.events import Correction, event_time
from medloop.core.gate.evaluation import answer
from medloop.core.gate.report import ChangedAnswer, RecentPictures
from medloop.core.prediction.predictor import Predictor
from medloop.jobs.context import Context
from medloop.jobs.history import read_history
from medloop.jobs.snapshot import read_pixels

DAYS: Final = 30
MOST: Final = 2000  # newest pictures that are looked at


def compare_recent(context: Context, old: Predictor, new: Predictor) -> RecentPictures:
    """Ask two models about these pictures.

    Raises:
        StoreError: The events or the pictures cannot be read.
    """
    hashes = _recent(context)
    pixels = read_pixels(context.corrections, hashes)
    if not pixels:
        return RecentPictures(DAYS, 0, ())
    images = np.stack(list(pixels.values()))
    before, after = (_shown(model, images) for model in (old, new))
    rows = np.flatnonzero(before != after)
    found = list(pixels)
    changed = (ChangedAnswer(found[row], str(before[row]), str(after[row])) for row in rows)
    return RecentPictures(DAYS, len(found), tuple(changed))


def _recent(context: Context) -> list[str]:
    """List the images of the last days' corrections, the newest first."""
    since = context.now() - timedelta(days=DAYS)
    newest = {
        sha256: max(event.id for event in events if isinstance(event, Correction))
        for sha256, events in read_history(context).by_image.items()
        if any(isinstance(event, Correction) for event in events)
    }
    recent = [sha256 for sha256, event_id in newest.items() if event_time(event_id) >= since]
    return sorted(recent, key=lambda sha256: newest[sha256], reverse=True)[:MOST]


def _shown(model: Predictor, images: np.ndarray) -> np.ndarray:
    """List the answers as a person reads them: a class, or unknown."""
    answers = answer(model, images)
    return np.where(answers.unknown, "unknown", answers.predicted)
