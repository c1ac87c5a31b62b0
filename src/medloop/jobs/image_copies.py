"""Finds a picture in acceptance sets and imported data sets, which only people change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medloop.core.imaging.decode import content_sha256
from medloop.jobs.context import Context
from medloop.stores.datasets import bundled_sample


@dataclass(frozen=True, slots=True, eq=False)
class SoughtImage:
    """The image that is looked for."""

    sha256: str
    # As models see it, uint8 [64, 64]; None: only a picture of just this size is found.
    pixels: np.ndarray | None

    def is_in(self, images: np.ndarray) -> bool:
        """Tell whether it is, pixel for pixel, among uint8 [N, 64, 64] `images`."""
        if self.pixels is not None:
            return bool((images == self.pixels).all(axis=(1, 2)).any())
        return any(content_sha256(image) == self.sha256 for image in images)


def acceptance_sets_with(context: Context, picture: SoughtImage) -> list[tuple[str, str]]:
    """Find the acceptance sets that hold it, by name and id, also those that no longer count."""
    stored = context.acceptance_sets.stored()
    return [
        (name, set_id)
        for name, set_id in stored
        if picture.is_in(context.acceptance_sets.content(name, set_id).images)
    ]


def datasets_with(context: Context, picture: SoughtImage) -> list[str]:
    """Find the imported data sets, on this machine or published, that hold it."""
    ids = sorted(
        {*context.datasets.ids(), *context.datasets.published_ids()} - {bundled_sample().id}
    )
    return [
        dataset_id
        for dataset_id in ids
        if any(map(picture.is_in, context.datasets.images(dataset_id)))
    ]
