"""The gate's reports as the registry keeps them, read once for all sessions of the process."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from medloop.app.models.models_view import VersionRow
from medloop.app.process.backend import Backend
from medloop.core.gate.report import GateReport
from medloop.errors import NotFoundError
from medloop.stores.registry import REPORT_FILE


def reports(back: Backend, rows: Iterable[VersionRow]) -> dict[str, GateReport]:
    """Read, by version, the reports that are still there.

    Raises:
        StoreError: The registry does not answer, or a report is damaged.
    """
    home = str(back.settings.home)
    found = {row.version: _report(row.run_id, row.gate, home, back) for row in rows if row.gate}
    return {version: report for version, report in found.items() if report is not None}


@st.cache_resource(ttl=600, max_entries=50, show_spinner="Reading the test reports …")
def _report(run_id: str, gate: str, home: str, _back: Backend) -> GateReport | None:
    """Read one report; a version may be judged again, hence `gate` in the cache's key."""
    try:
        return GateReport.from_json(_back.context.registry.attachment(run_id, REPORT_FILE))
    except NotFoundError:
        return None
