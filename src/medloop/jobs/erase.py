"""Erasing an image: a patient's wish. The pixels go everywhere; that there was an image, and its hash, stay."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from medloop.core.acceptance import decide
from medloop.core.events import Review
from medloop.core.fold import fold
from medloop.core.lineage import forebears
from medloop.errors import MedloopError
from medloop.jobs.holders import Picture, acceptance_sets_with, datasets_with
from medloop.jobs.loop import Loop
from medloop.jobs.snapshot import read_pixels


@dataclass(frozen=True, slots=True)
class Learned:
    """Model versions that may have learned from an image."""

    versions: tuple[
        str, ...
    ] = ()  # whose snapshot accepted it, or whose base data set holds it; oldest first
    heirs: tuple[
        tuple[str, str], ...
    ] = ()  # others that started from the weights of one of these: version, which
    unknown: str = ""  # why there may be more


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased, and who remembers it."""

    image_sha256: str
    was_stored: bool  # whether the image object was there
    shards: tuple[str, ...]  # snapshot shards that held its pixels, by key
    acceptance_sets: tuple[tuple[str, str], ...]  # name and id of those that still hold it
    datasets: tuple[str, ...]  # ids of imported data sets that still hold it
    searched: bool  # whether its pixels were at hand to look for them there; else only a 64×64 picture is found
    learned: Learned


def erase(
    loop: Loop, *, image_sha256: str, who: str, why: str = "", pixels: np.ndarray | None = None
) -> Erased:
    """Write the tombstone, delete the image and take its pixels out of every snapshot. Safe to run again.

    The tombstone comes first: from then on no snapshot takes the image in, whatever happens to the rest. Acceptance
    sets and imported data sets are people's own, and only named.

    Args:
        loop: The stores.
        image_sha256: Which image.
        who: Who erases it.
        why: The reason.
        pixels: The image as models see it, uint8 [64, 64]; without, it is read from the store while it is there.

    Raises:
        StoreError: The store refused or is away; run it again, until it succeeds.
    """
    identifier, at = loop.new_event()
    tombstone = Review(
        id=identifier,
        at=at,
        image_sha256=image_sha256,
        action="erase",
        label=None,
        who=loop.identify(who),
        why=why,
    )
    loop.corrections.put_review(tombstone)
    if pixels is None:
        pixels = read_pixels(loop.corrections, [image_sha256]).get(image_sha256)
    was_stored = loop.corrections.erase_image(image_sha256)
    loop.outbox.forget_image(image_sha256)
    shards = tuple(loop.snapshots.erase_image(image_sha256))
    picture = Picture(image_sha256, pixels)
    datasets = tuple(datasets_with(loop, picture))
    return Erased(
        image_sha256=image_sha256,
        was_stored=was_stored,
        shards=shards,
        acceptance_sets=tuple(acceptance_sets_with(loop, picture)),
        datasets=datasets,
        searched=pixels is not None,
        learned=_learned(loop, image_sha256, datasets),
    )


def _learned(loop: Loop, image_sha256: str, datasets: Collection[str]) -> Learned:
    try:
        return learned(loop, image_sha256, datasets=datasets)
    except (
        MedloopError
    ) as error:  # a registry that is away is no reason to leave pixels where they are
        return Learned(unknown=str(error))


def learned(loop: Loop, image_sha256: str, *, datasets: Collection[str] = ()) -> Learned:
    """Registered versions that may have learned from the image (`datasets` hold it), or started from one that did."""
    found = loop.registry.versions()
    used = {"": False}  # by snapshot
    own = []
    for version in found:
        snapshot_id = version.tags.get("snapshot_id", "")
        if snapshot_id not in used:
            used[snapshot_id] = _accepted(loop, snapshot_id, image_sha256)
        if used[snapshot_id] or version.tags.get("base_id") in datasets:
            own.append(version.version)
    parents = {version.version: version.tags.get("parent_version", "") for version in found}
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
    return Learned(tuple(own), tuple(heirs), gone)


def _accepted(loop: Loop, snapshot_id: str, image_sha256: str) -> bool:
    manifest = loop.snapshots.manifest(snapshot_id)
    events = loop.snapshots.all_events(manifest)
    if not any(event.image_sha256 == image_sha256 for event in events):
        return False
    decisions = decide(fold(events).values(), manifest.policy)
    return any(d.state.image_sha256 == image_sha256 and d.verdict == "accepted" for d in decisions)
