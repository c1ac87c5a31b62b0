"""What the page's process does by itself: clear memory without holding up clicks.

After each run of the page, that is after each click, Streamlit collects garbage through all of
memory, which is mostly modules. That takes 0.1 s in which no other session moves, and nine tenths
of all work with twenty sessions. What is there for long is therefore taken out of the search.

Streamlit keeps a session for two minutes after its browser has gone, in case it comes back, and
after that until the next one ends: after the last of an evening, all night, with its pictures. It
has no setting for that and no call, so this reaches for the table in which it keeps them.
tests/app/test_housekeeping.py tells when a new Streamlit has moved it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import importlib
import logging
import sys
import threading
import time
from typing import Any, Final

from streamlit import runtime

EVERY_S: Final = 20.0
LOADED_LATE: Final = ("pandas",)  # by Streamlit, when the first person's pictures are drawn
log = logging.getLogger(__name__)
_begun = threading.Lock()  # held from the first `begin` on


def begin() -> None:
    """Keep house from now on, once per process, and only on a server: tests run pages without."""
    if (
        runtime.exists()
        and isinstance(runtime.get_instance(), runtime.Runtime)
        and _begun.acquire(blocking=False)
    ):
        threading.Thread(target=_keep_house, name="housekeeping", daemon=True).start()


def _keep_house() -> None:
    for name in LOADED_LATE:
        importlib.import_module(name)
    tidy()
    try:
        while True:
            time.sleep(EVERY_S)
            if forget():
                tidy()
    except AttributeError as error:
        log.warning(
            "this Streamlit keeps ended sessions elsewhere: their memory comes back late (%s)",
            error,
        )


def forget() -> int:
    """Have Streamlit drop the sessions whose time is over; return how many."""
    server: Any = runtime.get_instance()
    kept = server._session_mgr._session_storage._cache
    return asyncio.run_coroutine_threadsafe(
        _expire(kept), server._get_async_objs().eventloop
    ).result()


async def _expire(kept: Any) -> int:
    """Empty ended sessions, on the server's own thread: the table is not made for several."""
    ended = [stored.session for _, stored in kept.expire()]
    for session in ended:
        session.shutdown()
        session._session_state = session._fragment_storage = (
            None  # the server's loop holds on to the last session
        )
    return len(ended)


def tidy() -> None:
    """Collect garbage, take the rest out of later searches, give freed memory to the system."""
    gc.unfreeze()  # of the sessions that were there last time, some may have ended
    gc.collect()
    gc.freeze()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
            ctypes.CDLL("libc.so.6").malloc_trim(0)
