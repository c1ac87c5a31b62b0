"""Medical image classification that learns from its users' corrections.

>>> from medloop import load_champion
>>> champion = load_champion()
>>> champion.predict("hand.png").label
'Hand'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medloop.serving import Classifier
    from medloop.settings import Settings

__all__ = ["__version__", "load_champion"]


def load_champion(settings: Settings | None = None) -> Classifier:
    """Load the champion, ready to predict.

    It follows promotions in the background, and falls back to the last one cached on this machine
    while the registry is away. Settings come from the environment, `.env` and the running local
    stack, as for the command line.

    Raises:
        SettingsError: A setting is missing or wrong.
        NoModelError: There is no model, neither in the registry nor in the cache.
    """
    from medloop.core.imaging.decode import Limits
    from medloop.serving import Classifier
    from medloop.wiring import connect, open_champion

    context = connect(settings)
    champion = open_champion(context)
    champion.current()
    champion.start()
    return Classifier(
        champion,
        limits=Limits(max_bytes=context.settings.max_upload_mb * 2**20),
        labelled=lambda: context.datasets.get(context.settings.base_dataset),
    )


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("medloop")
    raise AttributeError(f"module 'medloop' has no attribute {name!r}")
