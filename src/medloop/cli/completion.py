"""Completions for shells: classes, versions and data sets, as far as they are known quickly."""

from __future__ import annotations

from collections.abc import Callable

from medloop.core import none_of_these


def _or_nothing(find: Callable[[], list[str]]) -> Callable[[], list[str]]:
    """Offer what is found, of which typer takes what begins alike; a failure offers nothing."""

    def complete() -> list[str]:
        from medloop.errors import MedloopError

        try:
            return find()
        except MedloopError:
            return []

    return complete


def _classes() -> list[str]:
    from medloop.wiring import connect

    context = connect()
    return [*context.datasets.labels(context.settings.base_dataset), none_of_these.WORD]


def _versions() -> list[str]:
    from medloop.wiring import connect

    return [item.version for item in connect().registry.versions()]


def _datasets() -> list[str]:
    from medloop.settings import load_settings
    from medloop.stores.datasets import DatasetStore

    return DatasetStore(load_settings().home).ids()


classes = _or_nothing(_classes)
versions = _or_nothing(_versions)
datasets = _or_nothing(_datasets)
