"""The record of the last `medloop up`, for the commands that come after it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from medloop.stack.plan import Address
from medloop.stack.state_folder import StateFolder, write_private


@dataclass(frozen=True, slots=True)
class StartRecord:
    """One start."""

    ports: dict[str, int] = field(default_factory=dict)
    addresses: tuple[Address, ...] = ()
    settings: dict[str, str] | None = None  # by variable; None in records of older versions

    def write(self, folder: StateFolder) -> None:
        """Keep it in the state folder; the addresses carry passwords."""
        write_private(folder.record, json.dumps(asdict(self), indent=1))


def read_record(folder: StateFolder) -> StartRecord:
    """Read the last start; an empty one where there was none."""
    try:
        body = json.loads(folder.record.read_text("utf-8"))
        addresses = tuple(Address(**entry) for entry in body["addresses"])
        return StartRecord(dict(body["ports"]), addresses, body.get("settings"))
    except (OSError, ValueError, KeyError, TypeError):
        return StartRecord()
