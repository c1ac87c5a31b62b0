"""Where Chromium is. Without one the browser tests are skipped, but never where CI asks for
them.
"""

from __future__ import annotations

import os
import shutil
from typing import Final

import pytest

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium_path() -> str:
    """Path of the browser; skips the test where there is none, or fails it if REQUIRE_BROWSER is
    set.
    """
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        complaint = "no Chromium on this machine: apt-get install chromium"
        (pytest.fail if os.environ.get("REQUIRE_BROWSER") else pytest.skip)(complaint)
    return path
