"""Log lines as JSON."""

from __future__ import annotations

import json
import logging

import pytest
from tests.hostile_names import NASTY

from medloop import structured_logs


@pytest.fixture
def ours():
    logger = logging.getLogger("medloop")
    before = logger.handlers[:], logger.propagate
    yield logger
    logger.handlers[:], logger.propagate = before


def test_a_line_is_one_object_with_its_error(ours, capsys):
    structured_logs.begin()
    structured_logs.begin()
    try:
        int("two\nlines")
    except ValueError:
        logging.getLogger("medloop.stores").exception("version %s", "3")
    (line,) = capsys.readouterr().err.splitlines()
    fields = json.loads(line)
    assert (fields["level"], fields["logger"]) == ("error", "medloop.stores")
    assert fields["message"] == "version 3"
    assert fields["error"].startswith("Traceback")
    assert fields["at"].endswith("+00:00")


@pytest.mark.parametrize("name", NASTY)
def test_a_name_steers_no_terminal_and_is_read_back_whole(name: str):
    record = logging.LogRecord("medloop", logging.WARNING, "", 0, "by %s", (name,), None)
    line = structured_logs.JsonLines().format(record)
    assert line.isprintable()
    assert json.loads(line)["message"] == f"by {name}"
