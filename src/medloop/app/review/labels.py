"""The classes to offer where no prediction brings them along."""

from __future__ import annotations

from medloop.app.process.backend import Backend
from medloop.errors import ModelError


def known_labels(backend: Backend) -> tuple[str, ...]:
    """The champion's classes in its order; the base data set's while there is no model."""
    try:
        return backend.champion.current().predictor.metadata.labels
    except ModelError:
        return backend.context.datasets.get(backend.settings.base_dataset).labels
