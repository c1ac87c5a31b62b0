"""Which extra of the package brings a library that is not installed, and how to get it."""

from __future__ import annotations

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


def how_to_install(extra: str) -> str:
    """Name the commands; medloop is on no package index, so the folder has to be given."""
    command = f"python -m pip install '/path/to/medloop[{extra}]'"
    return f"`make setup` installs everything, `{command}` what is missing"
