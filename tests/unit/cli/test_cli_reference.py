"""docs/cli.md is generated, and never behind the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "scripts/cli_reference.py"


def check(*page: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), "--check", *page], capture_output=True, text=True, timeout=60
    )


def test_the_reference_in_the_repository_is_up_to_date():
    done = check()
    assert done.returncode == 0, done.stderr


def test_a_stale_reference_is_noticed_with_the_command_that_mends_it(tmp_path: Path):
    page = tmp_path / "cli.md"
    page.write_text("something older")
    done = check(str(page))
    assert done.returncode == 1
    assert "scripts/cli_reference.py" in done.stderr
