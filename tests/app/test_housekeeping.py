"""The page's process by itself: what ended sessions held leaves memory, without another session's
doing.
"""

from __future__ import annotations

import json

from tests.app.browser import HERE, app_over_memory, open_page, upload
from tests.servers import wait_until


def test_an_ended_session_s_pictures_leave_memory_by_themselves(browser, tmp_path):
    def held() -> dict[str, int]:
        return json.loads((tmp_path / "held.json").read_text())

    with app_over_memory(tmp_path, entry=HERE / "housekeeping_app.py") as url:
        context = browser.new_context()
        page = context.new_page()
        open_page(page, url)
        upload(page, 50, 120)
        wait_until(lambda: held()["files"] == 2, what="the pictures should be there")
        context.close()
        wait_until(
            lambda: (held()["files"], held()["gone"]) == (0, 2), what="the pictures should be gone"
        )
        assert held()["settled"] > 50_000  # what was loaded is not looked through after each click
