"""The entry of the browser tests: the real app over an installation in memory.

`streamlit run site_app.py -- FOLDER`. The file FOLDER/champion names the version that the registry's alias shows, so
that a test outside this process can promote.
"""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.app.registry import MemoryRegistry
from tests.app.site import Site, open_site

from medloop.app.main import main


class SteeredRegistry(MemoryRegistry):
    """A registry whose champion a file outside can name."""

    folder: Path

    def version_of(self, alias: str) -> str | None:
        steering = self.folder / alias
        if steering.exists():
            self.aliases[alias] = steering.read_text().strip()
            steering.unlink()
        return super().version_of(alias)


@st.cache_resource(show_spinner=False)
def site() -> tuple[Site, object]:
    """One for the process, with a conflict to review and a version that the gate refused."""
    folder = Path(sys.argv[1])
    registry = SteeredRegistry()
    registry.folder = folder
    context = open_site(folder, registry=registry)
    opened = context.__enter__()
    opened.backend.champion.start()
    opened.add_rejected_version()
    opened.say(60, "Hand", who="bob")
    opened.say(60, "CXR", who="eve")
    opened.say(50, "CXR", seed=9)
    return opened, context  # a context that nobody keeps is closed


site()
main()
