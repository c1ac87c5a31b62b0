"""Log lines as JSON, for systems that collect them. A message holds ids and never patient data."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from medloop.core.printable import json_line


class JsonLines(logging.Formatter):
    """Formats a record as a JSON object on one line: time, level, logger, message, any error."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the line."""
        fields = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        return json_line(fields)


def begin() -> None:
    """Write medloop's log lines to stderr as JSON from now on; a second call changes nothing."""
    ours = logging.getLogger("medloop")
    if not any(isinstance(handler.formatter, JsonLines) for handler in ours.handlers):
        handler = logging.StreamHandler()
        handler.setFormatter(JsonLines())
        ours.addHandler(handler)
        ours.propagate = False
