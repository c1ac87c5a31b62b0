"""The gate's reports as the registry keeps them, read once for all sessions of the process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import streamlit as st

from medloop.app.models.models_view import REPORT_FILE, VersionRow, parse_report
from medloop.app.process.backend import Backend
from medloop.errors import NotFoundError


def reports(back: Backend, rows: Iterable[VersionRow]) -> dict[str, dict[str, Any]]:
    """By version, of those that were judged and whose report is still there.

    Raises:
        StoreError: The registry does not answer.
    """
    home = str(back.settings.home)
    found = {row.version: _report(row.run_id, row.gate, home, back) for row in rows if row.gate}
    return {version: report for version, report in found.items() if report is not None}


@st.cache_data(ttl=600, max_entries=50, show_spinner="Reading the test reports …")
def _report(run_id: str, gate: str, home: str, _back: Backend) -> dict[str, Any] | None:
    """`gate` is part of the key, since a version may be judged again; `home` names the installation."""
    try:
        return parse_report(_back.context.registry.attachment(run_id, REPORT_FILE))
    except NotFoundError:
        return None
