"""What commit b9ddffd wrote: versions with their tags and gate reports, and a ledger.

The gate of that commit judged real trainings on the bundled sample: "2" and "4" passed, "3" forgot
what it knew, "5" has a new class, "broken" has a file that doesn't load.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from medloop.core.gate.report import GateReport
from tests.app.registry import MemoryRegistry

VERSIONS = ("2", "3", "4", "5", "broken")


@cache
def old_state() -> dict[str, Any]:
    """`versions` (tags, report) and `ledger`, as JSON held them."""
    state: dict[str, Any] = json.loads(Path(__file__).with_suffix(".json").read_bytes())
    return state


def old_raw(version: str) -> bytes:
    return json.dumps(old_state()["versions"][version]["report"]).encode()


def old_report(version: str) -> GateReport:
    return GateReport.from_json(old_raw(version))


def fill(registry: MemoryRegistry) -> None:
    """Put the versions into an empty registry."""
    for version in old_state()["versions"]:
        found = old_state()["versions"][version]
        if version != "broken":
            added = registry.add(b"", tags=found["tags"])
            assert added == version
            if found["report"]:
                registry.files[version, "gate/report.json"] = old_raw(version)
