"""The page's server: `streamlit run src/medloop/app/server.py` finds `app`, which runs main.py."""

from __future__ import annotations

from pathlib import Path

from starlette.middleware import Middleware
from streamlit.starlette import App

from medloop.app.process.front_door import FrontDoor
from medloop.settings import load_settings

app = App(
    Path(__file__).with_name("main.py"),
    middleware=[Middleware(FrontDoor, settings=load_settings())],
)
