"""What a training's arithmetic depends on beside its recipe: packages, processor, GPU."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Final

PACKAGES: Final = ("medloop", "torch", "numpy")
CPU_INFO: Final = Path("/proc/cpuinfo")


def environment(*, device: str) -> dict[str, str]:
    """Of this process, which trains or, with Ray, has others train. `device` is the training's setting."""
    return {
        **{package: version(package) for package in PACKAGES},
        "Python": platform.python_version(),
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "GPU": _gpu(device),
    }


def differences(recorded: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What is another thing now, each in words."""
    return [
        f"{name} was {recorded.get(name, 'not recorded')} and is {now[name]}"
        for name in now
        if recorded.get(name) != now[name]
    ]


def _processor() -> str:
    """Its model name, where the system says so: a kind such as x86_64 does not tell how it rounds."""
    try:
        lines = CPU_INFO.read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _gpu(device: str) -> str:
    import torch

    if device == "cpu" or not torch.cuda.is_available():
        return "none"
    return str(torch.cuda.get_device_name())
