"""The entry of the browser tests: the real app over installations in memory.

`streamlit run site_app.py -- FOLDER`; `?site=NAME` in the address picks one of
`tests.app.site_names`. The file FOLDER/champion names the version that the usual one's registry
shows, so that a test outside this process can promote.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import streamlit as st

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.app.plain_app import show
from tests.app.registry import MemoryRegistry
from tests.app.site import Site, open_site
from tests.app.site_names import AWAY, BROKEN, CONTESTED, EMPTY, PLAIN, REVIEWING, USUAL

from medloop.app.main import main
from medloop.app.process.backend import install


class SteeredRegistry(MemoryRegistry):
    """A registry whose champion a file outside can name."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def version_of(self, alias: str) -> str | None:
        steering = self.folder / alias
        if steering.exists():
            self.aliases[alias] = steering.read_text().strip()
            steering.unlink()
        return super().version_of(alias)


@st.cache_resource(show_spinner=False)
def site(name: str) -> tuple[Site, object]:
    """Each once a process; the usual one has conflicts to review and a version that the gate
    refused.
    """
    folder = Path(sys.argv[1])
    home = folder / name
    home.mkdir(exist_ok=True)
    context = open_site(
        home, with_model=name != EMPTY, registry=SteeredRegistry(folder if name == USUAL else home)
    )
    opened = context.__enter__()
    if name == USUAL:
        opened.add_rejected_version()
    for level in {USUAL: (60, 62, 64), CONTESTED: (60,)}.get(name, ()):
        opened.say(level, "Hand", who="bob")
        opened.say(level, "CXR", who="eve")
    if name == REVIEWING:
        settings = opened.context.settings.model_copy(update={"review": "all"})
        opened.backend = replace(opened.backend, context=replace(opened.context, settings=settings))
        for level in (60, 120, 200):
            opened.say(level, "Hand", who="bob")
    if name != EMPTY:
        opened.say(50, "CXR", seed=9)
    opened.registry.away = opened.store.away = name == AWAY
    opened.backend.champion.start()
    return opened, context  # a context that nobody keeps is closed


chosen = st.query_params.get("site", USUAL)
if chosen == BROKEN:
    raise RuntimeError("a defect of medloop, which nobody foresaw")
if chosen == PLAIN:
    show()
else:
    install(site(chosen)[0].backend)
    main()
