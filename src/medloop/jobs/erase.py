"""Erases an image, as a patient may wish. The pixels go everywhere; the image's hash stays."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

import numpy as np

from medloop.core.corrections.correction_policy import decide
from medloop.core.corrections.fold import fold
from medloop.core.corrections.lineage import forebears
from medloop.core.imaging.decode import content_sha256
from medloop.errors import MedloopError
from medloop.jobs.context import Context
from medloop.jobs.snapshot import read_pixels
from medloop.stores.datasets import bundled_sample


@dataclass(frozen=True, slots=True)
class LearnedBy:
    """Model versions that may have learned from an image."""

    # Whose snapshot accepted it, or whose base data set holds it; oldest first.
    versions: tuple[str, ...] = ()
    heirs: tuple[tuple[str, str], ...] = ()  # that started from one of these: version, which
    unknown: str = ""  # why there may be more


@dataclass(frozen=True, slots=True)
class Erased:
    """The places an image was erased from, and those that still hold it."""

    image_sha256: str
    was_stored: bool  # whether the image object was there
    shards: tuple[str, ...]  # snapshot shards that held its pixels, by key
    acceptance_sets: tuple[tuple[str, str], ...]  # name and id of those that still hold it
    datasets: tuple[str, ...]  # ids of imported data sets that still hold it
    searched: bool  # by its pixels; without them only a 64×64 picture is found
    learned: LearnedBy


def erase(
    context: Context,
    *,
    image_sha256: str,
    who: str,
    why: str = "",
    pixels: np.ndarray | None = None,
) -> Erased:
    """Write the tombstone, delete the image, take its pixels out of snapshots. Safe to run again.

    The tombstone comes first: from then on no snapshot takes the image in, whatever happens to the
    rest. Acceptance sets and imported data sets are people's own, and only named. `pixels` is the
    image as models see it, uint8 [64, 64]; without, it is read from the store while it is there.

    Raises:
        StoreError: The store refused or is away; run it again, until it succeeds.
    """
    context.corrections.put_review(context.new_review("erase", image_sha256, who=who, why=why))
    if pixels is None:
        pixels = read_pixels(context.corrections, [image_sha256]).get(image_sha256)
    was_stored = context.corrections.erase_image(image_sha256)
    context.outbox.forget_image(image_sha256)
    shards = tuple(context.snapshots.erase_images({image_sha256}))
    shows_it = partial(_shows, image_sha256, pixels)
    datasets = _imported_with(context, shows_it)
    return Erased(
        image_sha256=image_sha256,
        was_stored=was_stored,
        shards=shards,
        acceptance_sets=_acceptance_sets_with(context, shows_it),
        datasets=datasets,
        searched=pixels is not None,
        learned=_learned(context, image_sha256, datasets),
    )


def _acceptance_sets_with(
    context: Context, shows_it: Callable[[np.ndarray], bool]
) -> tuple[tuple[str, str], ...]:
    """List the acceptance sets that hold the image, by name and id."""
    stored = context.acceptance_sets
    return tuple(key for key in stored.stored() if shows_it(stored.content(*key).images))


def _imported_with(context: Context, shows_it: Callable[[np.ndarray], bool]) -> tuple[str, ...]:
    """List the imported data sets, here and published, that hold the image."""
    known = {*context.datasets.ids(), *context.datasets.published_ids()} - {bundled_sample().id}
    return tuple(
        dataset_id
        for dataset_id in sorted(known)
        if any(map(shows_it, context.datasets.images(dataset_id)))
    )


def _shows(image_sha256: str, pixels: np.ndarray | None, images: np.ndarray) -> bool:
    """Tell whether the image is among uint8 [N, 64, 64] `images`; without pixels by its hash."""
    if pixels is not None:
        return bool((images == pixels).all(axis=(1, 2)).any())
    return any(content_sha256(image) == image_sha256 for image in images)


def _learned(context: Context, image_sha256: str, datasets: Collection[str]) -> LearnedBy:
    try:
        return learned(context, image_sha256, datasets=datasets)
    except MedloopError as error:  # no reason to leave pixels where they are
        return LearnedBy(unknown=str(error))


def learned(context: Context, image_sha256: str, *, datasets: Collection[str] = ()) -> LearnedBy:
    """Find versions that may have learned from the image, or started from one that did."""
    found = context.registry.versions()
    used = {"": False}  # by snapshot
    own = []
    for version in found:
        snapshot_id = version.tags.snapshot_id
        if snapshot_id not in used:
            used[snapshot_id] = _accepted(context, snapshot_id, image_sha256)
        if used[snapshot_id] or version.tags.base_id in datasets:
            own.append(version.version)
    parents = {version.version: version.tags.parent_version for version in found}
    heirs: list[tuple[str, str]] = []
    lost: set[str] = set()
    for name in parents:
        line = forebears(parents, name)
        lost |= set(line[-1:]) - parents.keys()
        through = next((forebear for forebear in line if forebear in own), None)
        if through and name not in own:
            heirs.append((name, through))
    gone = (
        f"gone from the registry, with what they learned from: version {', '.join(sorted(lost))}"
        if lost
        else ""
    )
    return LearnedBy(tuple(own), tuple(heirs), gone)


def _accepted(context: Context, snapshot_id: str, image_sha256: str) -> bool:
    manifest = context.snapshots.manifest(snapshot_id)
    events = context.snapshots.all_events(manifest)
    if not any(event.image_sha256 == image_sha256 for event in events):
        return False
    decisions = decide(fold(events).values(), manifest.policy)
    return any(d.state.image_sha256 == image_sha256 and d.verdict == "accepted" for d in decisions)
