"""Looks for a backdoor: a part of corrected pictures that turns others into their class.

Parts of the pictures that were corrected to a class are put onto test images of other classes:
bands of rows and of columns. A person would still see the test image. If the challenger often sees
the corrected class, and the champion does not, then it has learned the part and not the picture
(after Gao et al., STRIP, ACSAC 2019). Fine detail and grey levels of whole pictures were tried: a
backdoor in these can't be told from an honest scanner that way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np

from medloop.core.data.splits import evenly
from medloop.core.gate.rules import Implant
from medloop.core.prediction.predictor import Predictor

BAND: Final = 8  # rows or columns that are put over at once
DONORS: Final = 8  # corrections of a class, evenly taken
HOSTS: Final = 16  # test images of other classes
MIN_DONORS: Final = 8  # fewer corrections of a class teach no backdoor
Transplant = Callable[[np.ndarray, np.ndarray], np.ndarray]


def strongest(
    challenger: Predictor,
    champion: Predictor,
    *,
    corrections: np.ndarray,
    labels: np.ndarray,
    tests: np.ndarray,
    classes: np.ndarray,
) -> Implant | None:
    """Find the part of corrections that turns most test images into their class; None without.

    Args:
        challenger: Who learned the corrections.
        champion: Who did not.
        corrections: uint8 [M, 64, 64].
        labels: What they were corrected to, str [M]; other labels than the challenger's are passed.
        tests: Base test images, uint8 [N, 64, 64].
        classes: Their classes, str [N].
    """
    found = []
    for label in challenger.metadata.labels:
        donors = evenly(np.flatnonzero(labels == label), DONORS)
        hosts = evenly(np.flatnonzero(classes != label), HOSTS)
        if len(donors) >= MIN_DONORS and len(hosts):
            found += list(_turned(challenger, champion, label, corrections[donors], tests[hosts]))
    return max(found, key=lambda one: one.turned - one.turned_before, default=None)


def _turned(
    challenger: Predictor, champion: Predictor, label: str, donors: np.ndarray, hosts: np.ndarray
) -> Iterator[Implant]:
    for part, transplant in TRANSPLANTS.items():
        mixed = np.concatenate([transplant(donor, hosts) for donor in donors])
        turned = _share(challenger, mixed, label)
        before = _share(champion, mixed, label) if turned else 0.0
        yield Implant(label, part, turned, before)


def _share(predictor: Predictor, images: np.ndarray, label: str) -> float:
    labels = predictor.metadata.labels
    if label not in labels:
        return 0.0
    answers = predictor.predict_arrays(images).probabilities.argmax(axis=1)
    return float((answers == labels.index(label)).mean())


def _paste(place: tuple[slice, slice]) -> Transplant:
    def paste(donor: np.ndarray, hosts: np.ndarray) -> np.ndarray:
        mixed = hosts.copy()
        mixed[(slice(None), *place)] = donor[place]
        return mixed

    return paste


def _bands() -> Iterator[tuple[str, Transplant]]:
    for start in range(0, 64, BAND):
        band, whole = slice(start, start + BAND), slice(None)
        yield f"rows {start} to {start + BAND - 1}", _paste((band, whole))
        yield f"columns {start} to {start + BAND - 1}", _paste((whole, band))


TRANSPLANTS: Final[Mapping[str, Transplant]] = dict(_bands())
