"""Fixtures of the page tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from streamlit.testing.v1 import AppTest
from tests.app.browser import app_over_memory, chromium
from tests.app.site import Site, open_site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """An installation with one model."""
    with open_site(tmp_path) as opened:
        yield opened


@pytest.fixture
def empty_site(tmp_path: Path) -> Iterator[Site]:
    """An installation whose registry is empty."""
    with open_site(tmp_path, with_model=False) as opened:
        yield opened


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's, see `tests.app.site_app`."""
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="package")
def address(folder: Path) -> Iterator[str]:
    """One server for all tests in a browser without a login: each leaves the champion as it was."""
    with app_over_memory(folder) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; not for longer, since other tests of this package have event loops of their own."""
    with chromium() as opened:
        yield opened


@pytest.fixture
def run_page() -> Callable[[str], AppTest]:
    """Run one page by its module name, as the entry would."""

    def run(name: str) -> AppTest:
        app = AppTest.from_function(_script, args=(name,), default_timeout=30)
        return app.run()

    return run


def _script(name: str) -> None:
    from importlib import import_module

    import_module(f"medloop.app.{name}.{name}_page").page()
