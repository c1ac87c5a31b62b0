"""What axe-core finds, on a page as it is at rest."""

from __future__ import annotations

import time

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

REDRAWN_WITHIN_S = 30


def serious(page: Page) -> list[str]:
    """Moderate and worse violations that stay, a line each: what Streamlit is just redrawing is
    pale for a moment.
    """
    until = time.monotonic() + REDRAWN_WITHIN_S
    while (found := _serious_now(page)) and time.monotonic() < until:
        page.wait_for_timeout(500)
    return found


def needs_no_sideways_scrolling(page: Page) -> None:
    """Fails where the page stays wider than the window; charts take their width a moment after they
    are there.
    """
    page.wait_for_function(
        "() => { const main = document.querySelector('.stMain'); return main.scrollWidth <= "
        "main.clientWidth; }",
        timeout=REDRAWN_WITHIN_S * 1000,
    )


def _serious_now(page: Page) -> list[str]:
    return [
        f"{violation['id']}: {node['html'][:160]}"
        for violation in Axe().run(page).response["violations"]
        if violation["impact"] in {"moderate", "serious", "critical"}
        for node in violation["nodes"]
    ]
