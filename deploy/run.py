"""Start one component in a container: `python run.py NAME`.

Its command line and environment are those of the local stack, from `/config/NAME.json`, which
`prepare.py` wrote. Without that file the page takes the settings of its environment.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from medloop.settings import load_settings
from medloop.stack import programs

CONFIG = Path("/config")
PAGE_PORT = 8501


def page() -> tuple[tuple[str, ...], dict[str, str]]:
    """Write how the page is called; it listens on every address of its container."""
    settings = load_settings()
    if not (settings.oidc_issuer or settings.allow_remote):
        sys.exit("The page has no login: set MEDLOOP_OIDC_ISSUER, or MEDLOOP_ALLOW_REMOTE=true.")
    outside = urlsplit(settings.app_url or "").hostname
    program = programs.app(
        host="0.0.0.0",  # noqa: S104
        port=PAGE_PORT,
        max_upload_mb=settings.max_upload_mb,
        environment={},
        login_file=CONFIG / "login.toml",
        known_as=[outside, "127.0.0.1"] if outside else [],
    )
    return program.command, dict(program.environment)


def main(name: str) -> None:
    """Replace this process by the component; what its container's environment says wins."""
    file = CONFIG / f"{name}.json"
    if file.exists():
        written = json.loads(file.read_text("utf-8"))
        command, environment = written["command"], written["environment"]
    elif name == "app":
        command, environment = page()
    else:
        sys.exit(f"{file} is missing: prepare.py writes it")
    os.execve(command[0], list(command), {**environment, **os.environ})  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1])
