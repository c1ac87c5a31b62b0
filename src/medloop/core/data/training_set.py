"""The training data, base data and corrections together, and the images kept out of it.

Owns the order of the labels across weeks. Fetches nothing and trains nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np

from medloop.core import none_of_these
from medloop.core.corrections.holdout import copies, twins
from medloop.core.data.datasets import Dataset, scored
from medloop.core.data.splits import Split

DATA_RULES: Final = "2"  # changes with the rules of what is left out: other rules, other training
MIN_OF_NEW_CLASS: Final = 10  # accepted corrections before a label that no model knows is a class
RARE: Final = 0.25  # of the largest class's images: a class with fewer is drawn more often

Use = Literal[
    "trained",
    "held out",
    "twin of a held-out one",
    "in an acceptance set",
    "in the base test",
    "class too new",
]


@dataclass(frozen=True, slots=True, eq=False)
class Corrections:
    """Accepted corrections of a snapshot, one row an image."""

    images: np.ndarray  # uint8 [M, 64, 64]
    labels: tuple[str | None, ...]  # None: none of the classes
    held_out: np.ndarray  # bool [M]
    twins: np.ndarray  # bool [M]: not held out itself, but too like one that is
    in_acceptance: np.ndarray  # bool [M]: in an acceptance set, or too like an image there
    image_sha256: tuple[str, ...]

    @classmethod
    def none(cls) -> Corrections:
        """Give no corrections."""
        nothing = np.zeros(0, dtype=bool)
        return cls(np.zeros((0, 64, 64), np.uint8), (), nothing, nothing, nothing, ())


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """Base data and corrections under one order of labels."""

    labels: tuple[str, ...]
    base: Dataset
    base_targets: np.ndarray  # int64 [N], index into labels
    split: Split  # its training and validation parts without copies of images in acceptance sets
    corrections: Corrections
    uses: tuple[Use, ...]  # of each correction

    @property
    def trained(self) -> np.ndarray:
        """Which corrections are trained on: bool [M]."""
        return np.array([use == "trained" for use in self.uses], dtype=bool)

    def correction_targets(self) -> np.ndarray:
        """Give the targets of the corrections that are trained on; -1 for none of these."""
        index = {label: i for i, label in enumerate(self.labels)} | {None: none_of_these.TARGET}
        pairs = zip(self.corrections.labels, self.uses, strict=True)
        return np.array([index[label] for label, use in pairs if use == "trained"], dtype=np.int64)

    def scored_test(self) -> np.ndarray:
        """Give the indices of the base test images that count: not blank, each content once."""
        test = self.split.test
        return np.asarray(test[scored(self.base.images[test])])

    def without_seen(self, trained_on: np.ndarray) -> TrainingSet:
        """Leave out test images that are, or nearly are, among `trained_on` uint8 [K, 64, 64]."""
        test = self.split.test
        fresh = test[~twins(self.base.images[test], trained_on)]
        return replace(self, split=replace(self.split, test=fresh))


def assemble(
    base: Dataset,
    corrections: Corrections,
    *,
    champion_labels: Sequence[str],
    acceptance: np.ndarray | None = None,
) -> TrainingSet:
    """Put base data and corrections together under the champion's order of labels, new ones behind.

    `acceptance` are the images uint8 [K, 64, 64] of acceptance sets: no base image that is, or
    nearly is, one of them is trained on or used for calibration. No correction that is, or nearly
    is, a base test image is trained on.
    """
    labels = label_order(champion_labels, base.labels, corrections.labels)
    renumbered = np.array([labels.index(label) for label in base.labels], dtype=np.int64)
    parts = base.split()
    if acceptance is not None and len(acceptance):
        train, validation = (
            part[~copies(base.images[part], acceptance)] for part in (parts.train, parts.validation)
        )
        parts = replace(parts, train=train, validation=validation)
    return TrainingSet(
        labels=labels,
        base=base,
        base_targets=renumbered[base.targets],
        split=parts,
        corrections=corrections,
        uses=_uses(corrections, labels, copies(corrections.images, base.images[parts.test])),
    )


def label_order(
    champion: Sequence[str], base: Sequence[str], given: Sequence[str | None] = ()
) -> tuple[str, ...]:
    """Order the champion's labels, then the base data's, then those that corrections bring often.

    A label keeps its place for ever, whichever classes this week's data happens to have.
    """
    known = [*champion, *(label for label in base if label not in champion)]
    counts = Counter(label for label in given if label is not None and label not in known)
    new = sorted(label for label, count in counts.items() if count >= MIN_OF_NEW_CLASS)
    return (*known, *new)


def _uses(corrections: Corrections, labels: Sequence[str], in_test: np.ndarray) -> tuple[Use, ...]:
    """Tell of each correction if it is trained on, or the first reason against it."""
    reasons: tuple[tuple[Use, Sequence[bool] | np.ndarray], ...] = (
        ("class too new", [label not in (None, *labels) for label in corrections.labels]),
        ("in an acceptance set", corrections.in_acceptance),
        ("held out", corrections.held_out),
        ("twin of a held-out one", corrections.twins),
        ("in the base test", in_test),
    )
    found: list[Use] = ["trained"] * len(corrections.labels)
    for use, applies in reversed(reasons):
        found = [use if so else before for so, before in zip(applies, found, strict=True)]
    return tuple(found)


def data_key(
    *, snapshot_id: str, base_id: str, kept_out: Sequence[str], config: Mapping[str, Any]
) -> str:
    """Hash what is learned from, by which rules, and how; the device is left out."""
    asked = {name: value for name, value in config.items() if name != "device"}
    return _key(DATA_RULES, snapshot_id, base_id, sorted(kept_out), asked)


def run_key(data: str, *, parent_weights_sha256: str) -> str:
    """Hash a whole training: its data and the weights that it starts from."""
    return _key(data, parent_weights_sha256)


def _key(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def use_counts(training_set: TrainingSet) -> dict[str, int]:
    """Count the corrections by use."""
    return dict(Counter(training_set.uses))
