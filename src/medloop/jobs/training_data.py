"""Fetches what a training or an evaluation works on: base data set and snapshot, put together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medloop.core.corrections.holdout import copies, twins
from medloop.core.data.training_set import Corrections, TrainingSet, assemble
from medloop.jobs.context import Context
from medloop.jobs.training_record import Recipe
from medloop.stores.acceptance_sets import AcceptanceSet


def gather(
    context: Context,
    *,
    snapshot_id: str,
    base_id: str | None,
    champion_labels: Sequence[str],
    kept_out: Sequence[AcceptanceSet] = (),
) -> TrainingSet:
    """Put base data and the snapshot's corrections together under one order of labels.

    Args:
        context: The stores.
        snapshot_id: "" for the base data alone.
        base_id: Base data set; None takes the snapshot's, or without one the settings'.
        champion_labels: The labels whose order must last; () for a first model.
        kept_out: Acceptance sets, whose images and near copies of them are never trained on.

    Raises:
        NotFoundError: There is no such snapshot or data set.
    """
    if base_id is None and snapshot_id:
        base_id = context.snapshots.manifest(snapshot_id).base_id
    base = context.datasets.get(context.settings.base_dataset if base_id is None else base_id)
    nothing = np.zeros((0, 64, 64), np.uint8)
    acceptance = np.concatenate([nothing, *(item.images for item in kept_out)])
    corrections = Corrections.none()
    if snapshot_id:
        corrections = load_corrections(context, snapshot_id, acceptance)
    return assemble(base, corrections, champion_labels=champion_labels, acceptance=acceptance)


def gather_again(
    context: Context, recipe: Recipe, *, kept_out: Sequence[AcceptanceSet]
) -> TrainingSet:
    """Gather what a training by this recipe worked on."""
    return gather(
        context,
        snapshot_id=recipe.snapshot_id,
        base_id=recipe.base_id,
        champion_labels=recipe.labels,
        kept_out=kept_out,
    )


def acceptance_sets(context: Context) -> list[AcceptanceSet]:
    """Load the acceptance sets that count now."""
    return [context.acceptance_sets.load(item) for item in context.acceptance_sets.declarations()]


def load_corrections(context: Context, snapshot_id: str, acceptance: np.ndarray) -> Corrections:
    """Load a snapshot's corrections.

    Those too like a held-out one, or one of an acceptance set, are marked.
    """
    data = context.snapshots.load(snapshot_id)
    held_out = np.asarray(data.holdout, dtype=bool)
    like = np.zeros(len(held_out), dtype=bool)
    if held_out.any() and not held_out.all():
        like[~held_out] = twins(data.images[~held_out], data.images[held_out])
    return Corrections(
        images=data.images,
        labels=tuple(data.labels),
        held_out=held_out,
        twins=like,
        in_acceptance=copies(data.images, acceptance),
        image_sha256=data.image_sha256,
    )
