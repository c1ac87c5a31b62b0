"""What the front end must not bring along."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import files

import pytest

FORBIDDEN = ("torch", "mlflow", "sklearn", "scipy", "matplotlib", "airflow", "ray")


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """Top-level modules after importing the entry, and with it every page."""
    code = (
        "import sys, medloop.app.main; print(' '.join({name.partition('.')[0] for name in "
        "sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("name", FORBIDDEN)
def test_opening_the_pages_loads_nothing_heavy(loaded, name):
    assert name not in loaded


def test_the_pages_are_loaded(loaded):
    assert {"medloop", "streamlit", "onnxruntime"} <= loaded


def test_streamlit_finds_no_pages_of_its_own():
    """A folder `pages` beside the entry would be run file by file for whoever opens /models first:
    a blank page.
    """
    assert not (files("medloop.app") / "pages").is_dir()
