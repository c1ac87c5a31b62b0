"""One model for the whole process, and the next one for all of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.app.models import OTHER_LEVELS, brightness_model
from tests.app.registry import MemoryRegistry
from tests.app.site import open_site

from medloop.app.process.backend import backend
from medloop.serving import Served

SESSIONS = 8


class Counting(MemoryRegistry):
    """Remembers which version's file was fetched, each time."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []

    def model_file(self, version: str) -> bytes:
        self.fetched.append(version)
        return super().model_file(version)


def sessions() -> list[Served]:
    """What each of some sessions at once would answer with: every page asks the backend for it at
    each run.
    """
    with ThreadPoolExecutor(SESSIONS) as threads:
        return list(threads.map(lambda _: backend().champion.current(), range(SESSIONS)))


def test_the_model_is_not_loaded_per_session_and_not_loaded_once_for_ever(tmp_path: Path) -> None:
    """The published system loaded it anew for each session, and then never again."""
    registry = Counting()
    with open_site(tmp_path, registry=registry) as site:
        before = sessions()
        assert {served.version for served in before} == {"1"}
        assert len({id(served.predictor) for served in before}) == 1
        assert registry.fetched == ["1"]

        site.promote(registry.add(brightness_model(OTHER_LEVELS)))
        after = sessions()
        assert {served.version for served in after} == {"2"}
        assert len({id(served.predictor) for served in after}) == 1
        assert registry.fetched == ["1", "2"]
