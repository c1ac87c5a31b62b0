"""Fixtures of the page tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
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


@pytest.fixture
def run_page() -> Callable[[str], AppTest]:
    """Run one page by its module name, as the entry would."""

    def run(name: str) -> AppTest:
        app = AppTest.from_function(_script, args=(name,), default_timeout=30)
        return app.run()

    return run


def _script(name: str) -> None:
    from importlib import import_module

    import_module(f"medloop.app.screens.{name}").page()
