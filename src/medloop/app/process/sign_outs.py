"""Logins that were ended by signing out: an empty file each, in the state folder.

The login cookie is valid for as long as it is signed, and other tabs and copies of it know nothing
of a sign-out. All front ends that share the state folder see the same files.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

FOLDER: Final = "signed-out"


def record_sign_out(home: Path, claims: Mapping[str, Any], *, session: timedelta) -> None:
    """Refuse this login from now on, and forget those that are over by themselves."""
    folder = home / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / _login_id(claims)).touch()
    for file in folder.iterdir():
        if time.time() - file.stat().st_mtime > session.total_seconds():
            file.unlink(missing_ok=True)


def is_signed_out(home: Path, claims: Mapping[str, Any]) -> bool:
    """Tell whether somebody signed out of this login, in whatever tab or browser."""
    return (home / FOLDER / _login_id(claims)).exists()


def _login_id(claims: Mapping[str, Any]) -> str:
    """Hash the identity token's claims: its nonce and times differ from login to login."""
    own = {name: value for name, value in claims.items() if name != "tokens"}
    return hashlib.sha256(json.dumps(own, sort_keys=True, default=str).encode()).hexdigest()
