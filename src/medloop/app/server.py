"""The page's server: `streamlit run src/medloop/app/server.py` finds `app`, which runs main.py.

What the process does for everybody begins with it, not with the first visitor: corrections that
wait are sent, and the champion is loaded.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.middleware import Middleware
from streamlit.starlette import App

from medloop.app.process.backend import backend
from medloop.app.process.front_door import FrontDoor
from medloop.core.printable import log_to_stderr
from medloop.errors import MedloopError
from medloop.settings import load_settings


@asynccontextmanager
async def begin(_: App) -> AsyncIterator[None]:
    """Open what all pages share before the first of them is asked for."""
    log_to_stderr()
    try:
        await asyncio.to_thread(backend)
    except MedloopError as error:  # every visitor reads it on the page, too
        logging.getLogger("medloop").warning("%s", error)
    yield


app = App(
    Path(__file__).with_name("main.py"),
    lifespan=begin,
    middleware=[Middleware(FrontDoor, settings=load_settings())],
)
