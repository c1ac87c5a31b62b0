"""Finds the pictures of an open page again after a reload, and frees uploads that a page lets go.

A reload begins a new session of Streamlit, which keeps the former for two minutes. As long as that
one is kept, and no longer, its pictures can move to the new one.
"""

from __future__ import annotations

import time
from typing import Any, Final
from weakref import WeakValueDictionary

from streamlit import runtime

ENDS_WITHIN_S: Final = 1.0
_kept: Final[WeakValueDictionary[str, Any]] = WeakValueDictionary()  # by token; sessions hold them


def keep(token: str, held: object) -> None:
    """Note what an open page holds; its browser tab alone knows the token."""
    _kept[token] = held


def find(token: str) -> Any | None:
    """Give what a page held that is no longer open but not forgotten."""
    return _kept.get(token)


def is_left(session_id: str) -> bool:
    """Tell if no browser shows the session any more.

    A reload may come a little before the end of the connection that it ends.
    """
    until = time.monotonic() + ENDS_WITHIN_S
    while runtime.get_instance().is_active_session(session_id):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def move_uploads(before: str, now: str) -> None:
    """Count a former session's uploads as this one's, so that they outlive it."""
    files: Any = _storage()
    files[now].update(files.pop(before, {}))


def free_uploads(session_id: str, file_ids: set[str]) -> None:
    """Forget uploaded files."""
    if runtime.exists():
        manager: Any = runtime.get_instance().uploaded_file_mgr
        for file_id in file_ids:
            manager.remove_file(session_id, file_id)


def held_bytes(session_id: str) -> int:
    """Count the bytes of uploads that a page holds."""
    files = list(_storage().get(session_id, {}).values()) if runtime.exists() else []
    return sum(len(file.data) for file in files)


def _storage() -> Any:
    manager: Any = runtime.get_instance().uploaded_file_mgr
    return manager.file_storage
