"""Entry of `benchmarks.pages`: the real app over stores in memory, its model of the real shape."""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.app.registry import MemoryRegistry
from tests.app.site import Site, open_site

from medloop.app.main import main


@st.cache_resource(show_spinner=False)
def site() -> tuple[Site, object]:
    """Open the site once per process."""
    folder, registry = Path(sys.argv[1]), MemoryRegistry()
    registry.add((folder / "model.onnx").read_bytes())
    context = open_site(folder, with_model=False, registry=registry)
    return context.__enter__(), context  # a context that nobody keeps is closed


site()
main()
