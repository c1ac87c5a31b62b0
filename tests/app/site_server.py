"""The server of the browser tests: a script of theirs behind the shipped rules for HTTP.

`streamlit run site_server.py -- FOLDER SCRIPT`.
"""

from __future__ import annotations

import sys

from starlette.middleware import Middleware
from streamlit.starlette import App

from medloop.app.process.front_door import FrontDoor
from medloop.settings import load_settings

app = App(sys.argv[2], middleware=[Middleware(FrontDoor, settings=load_settings())])
