"""Which pictures a registered version was trained on, by what each training recorded of itself.

Whichever version serves today: any of them may be champion, or the start of one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from medloop.core.corrections.holdout import copies
from medloop.errors import DatasetError, NotFoundError
from medloop.jobs.context import Context
from medloop.jobs.snapshot import read_pixels
from medloop.jobs.training_record import read_recipe, read_uses
from medloop.progress import Progress, silent
from medloop.stores.datasets import FULL_SET, bundled_sample

KeptOut = tuple[tuple[str, str], ...]  # acceptance sets: name and id


@dataclass(frozen=True, slots=True, eq=False)
class TrainingOverlap:
    """Which of some pictures a version was trained on."""

    seen: np.ndarray  # bool [N]: a version was trained on it, or on a near copy
    unchecked: tuple[str, ...] = ()  # what they could not be compared with, in words


@dataclass(frozen=True, slots=True)
class _Trainings:
    """The data that all trainings used."""

    base: frozenset[tuple[str, KeptOut]]  # base data sets, with the sets that were kept out of them
    corrected: frozenset[str]  # hashes of the corrected images that were trained on
    gone: tuple[str, ...]


def learned(
    context: Context, images: np.ndarray, image_sha256s: Sequence[str], report: Progress = silent
) -> TrainingOverlap:
    """Compare images, uint8 [N, 64, 64], and their hashes with all that versions learned from.

    Erased corrections are known by their hash alone: near copies of them are not found.
    """
    trainings = _trainings(context, report)
    report(0.5, "comparing with what was trained on")
    seen = np.array([sha256 in trainings.corrected for sha256 in image_sha256s], dtype=bool)
    seen |= copies(images, _pixels(context, trainings.corrected))
    unchecked = list(trainings.gone)
    for base_id in sorted({base_id for base_id, _ in trainings.base}):
        try:
            found = copies(images, _learned_from(context, base_id))
        except (NotFoundError, DatasetError):
            unchecked.append(f"data set {base_id}, which is not here or damaged")
            continue
        for kept_out in [
            sets for known, sets in trainings.base if known == base_id and found.any()
        ]:
            seen |= found & ~copies(images, _images(context, kept_out))
    return TrainingOverlap(seen, tuple(unchecked))


def _trainings(context: Context, report: Progress) -> _Trainings:
    versions = context.registry.versions()
    base: set[tuple[str, KeptOut]] = set()
    corrected: set[str] = set()
    lost = {version.tags.parent_version for version in versions}
    gone = sorted(lost - {version.version for version in versions} - {""})
    for i, version in enumerate(versions):
        report(0.5 * i / len(versions), f"what version {version.version} was trained on")
        try:
            recipe = read_recipe(context, version)
            uses = read_uses(context, version) if recipe.snapshot_id else []
        except NotFoundError:
            gone.append(version.version)
            continue
        base.add((recipe.base_id, recipe.kept_out))
        if recipe.base_id == FULL_SET:  # which need not be here; the sample is a part of it
            base.add((bundled_sample().id, recipe.kept_out))
        corrected.update(sha256 for sha256, _, use in uses if use == "trained")
    return _Trainings(
        base=frozenset(base),
        corrected=frozenset(corrected),
        gone=tuple(f"the training of version {version}, whose record is gone" for version in gone),
    )


def _learned_from(context: Context, base_id: str) -> np.ndarray:
    """Load the base images that weights and thresholds are fitted to: uint8 [K, 64, 64]."""
    base = context.datasets.get(base_id)
    parts = base.split()
    return np.asarray(base.images[np.concatenate([parts.train, parts.validation])])


def _pixels(context: Context, image_sha256s: Collection[str]) -> np.ndarray:
    """Load these corrected images as far as they exist: uint8 [K, 64, 64]."""
    latest = context.snapshots.latest() if image_sha256s else None
    found = []
    if latest is not None:
        data = context.snapshots.load(latest.snapshot_id)
        found.append(data.images[[sha256 in image_sha256s for sha256 in data.image_sha256]])
        image_sha256s = set(image_sha256s) - set(data.image_sha256)
    found += [
        image[None] for image in read_pixels(context.corrections, sorted(image_sha256s)).values()
    ]
    return _stacked(found)


def _images(context: Context, sets: KeptOut) -> np.ndarray:
    """Load the images of acceptance sets that still exist: uint8 [K, 64, 64]."""
    there = set(context.acceptance_sets.stored()) if sets else set()
    return _stacked(
        context.acceptance_sets.content(name, set_id).images
        for name, set_id in sets
        if (name, set_id) in there
    )


def _stacked(parts: Iterable[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros((0, 64, 64), np.uint8), *parts])
