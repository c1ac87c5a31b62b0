"""Which extra of the package brings a library that is not installed, and how to get it."""

from __future__ import annotations

import json
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Final

LIBRARIES: Final = {  # import names by extra, without what the package itself needs
    "services": ("supervisor", "cryptography"),
    "train": ("torch", "onnx", "onnxscript", "safetensors", "sklearn", "scipy", "matplotlib"),
    "app": ("streamlit", "pandas", "altair"),
    "airflow": ("airflow",),
    "metrics": ("prometheus_client",),
    "ray": ("ray",),
}


def what_is_missing(error: ModuleNotFoundError) -> str | None:
    """Name the remedy; None if no extra brings the module: then its absence is a defect."""
    library = (error.name or "").partition(".")[0]
    for extra, libraries in LIBRARIES.items():
        if library in libraries:
            return f"{library} is not installed: {how_to_install(extra)}"
    return None


def how_to_install(extra: str, *, root: Path = Path(__file__).parents[2]) -> str:
    """Name the command: make's in a checkout, elsewhere pip's with the file medloop came from."""
    if (root / "Makefile").is_file():
        return "`make setup` installs everything"
    return f"`python -m pip install 'medloop[{extra}] @ {_origin()}'` installs what is missing"


def _origin() -> str:
    """Return the address that medloop was installed from (PEP 610); no package index has it."""
    recorded = json.loads(distribution("medloop").read_text("direct_url.json") or "{}")
    return str(
        recorded.get("url", f"file:///path/to/medloop-{version('medloop')}-py3-none-any.whl")
    )
