"""Medical image classification that learns from its users' corrections.

>>> from medloop import load_champion
>>> champion = load_champion()
>>> champion.predict("hand.png").label
'Hand'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medloop.core.data.datasets import Dataset
    from medloop.serving import Classifier
    from medloop.settings import Settings

__all__ = ["__version__", "load_champion"]


def load_champion(settings: Settings | None = None) -> Classifier:
    """The model that the registry's alias `champion` points at, ready to predict.

    It follows promotions in the background, and falls back to the last one cached on this machine while the registry
    is away. Settings come from the environment, `.env` and the running local stack, as for the command line.

    Raises:
        SettingsError: A setting is missing or wrong.
        NoModelError: There is no model, neither in the registry nor in the cache.
    """
    from functools import partial

    from medloop.core.imaging.decode import Limits
    from medloop.serving import Champion, Classifier
    from medloop.settings import load_settings
    from medloop.stores.registry import Registry

    settings = settings or load_settings()
    champion = Champion(Registry(settings), settings.home / "models", poll_s=settings.poll_s)
    champion.current()
    champion.start()
    limits = Limits(max_bytes=settings.max_upload_mb * 2**20)
    return Classifier(champion, limits=limits, labelled=partial(_base_dataset, settings))


def _base_dataset(settings: Settings) -> Dataset:
    from medloop.stores.datasets import DatasetStore
    from medloop.stores.objects import ObjectStore

    return DatasetStore(settings.home, ObjectStore.from_settings(settings)).get(
        settings.base_dataset
    )


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("medloop")
    raise AttributeError(f"module 'medloop' has no attribute {name!r}")
