"""Erasing an image: a patient's wish. The pixels go everywhere; that there was an image, and its hash, stay."""

from __future__ import annotations

from dataclasses import dataclass

from medloop.core.acceptance import decide
from medloop.core.events import Review
from medloop.core.fold import fold
from medloop.errors import MedloopError
from medloop.jobs.loop import Loop


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased, and who remembers it."""

    image_sha256: str
    was_stored: bool  # whether the image object was there
    shards: tuple[str, ...]  # snapshot shards that held its pixels, by key
    versions: tuple[str, ...]  # model versions whose snapshot accepted it: they may have been trained on it
    versions_unknown: str = ""  # why the registry could not be asked for them


def erase(loop: Loop, *, image_sha256: str, who: str, why: str = "") -> Erased:
    """Write the tombstone, delete the image and take its pixels out of every snapshot. Safe to run again.

    The tombstone comes first: from then on no snapshot takes the image in, whatever happens to the rest.

    Raises:
        StoreError: The store refused or is away; run it again, until it succeeds.
    """
    identifier, at = loop.new_event()
    tombstone = Review(
        id=identifier, at=at, image_sha256=image_sha256, action="erase", label=None, who=loop.identify(who), why=why
    )
    loop.corrections.put_review(tombstone)
    was_stored = loop.corrections.erase_image(image_sha256)
    loop.outbox.forget_image(image_sha256)
    shards = tuple(loop.snapshots.erase_image(image_sha256))
    try:
        versions = tuple(versions_with(loop, image_sha256))
    except MedloopError as error:  # a registry that is away is no reason to leave pixels where they are
        return Erased(image_sha256, was_stored, shards, versions=(), versions_unknown=str(error))
    return Erased(image_sha256, was_stored, shards, versions)


def versions_with(loop: Loop, image_sha256: str) -> list[str]:
    """Registered versions whose snapshot accepted the image, oldest first."""
    used: dict[str, bool] = {}
    found = []
    for version in loop.registry.versions():
        snapshot_id = version.tags.get("snapshot_id")
        if not snapshot_id:
            continue
        if snapshot_id not in used:
            used[snapshot_id] = _accepted(loop, snapshot_id, image_sha256)
        if used[snapshot_id]:
            found.append(version.version)
    return found


def _accepted(loop: Loop, snapshot_id: str, image_sha256: str) -> bool:
    manifest = loop.snapshots.manifest(snapshot_id)
    events = loop.snapshots.all_events(manifest)
    if not any(event.image_sha256 == image_sha256 for event in events):
        return False
    decisions = decide(fold(events).values(), manifest.policy)
    return any(d.state.image_sha256 == image_sha256 and d.verdict == "accepted" for d in decisions)
