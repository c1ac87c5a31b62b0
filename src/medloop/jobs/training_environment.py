"""The packages, processor and GPU on which a training's arithmetic depends."""

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
    """Describe this process, which trains or, with Ray, has others train.

    `device` is the training's setting.
    """
    from medloop.core.learn.recipe import gpu_name

    return {
        **{package: version(package) for package in PACKAGES},
        "Python": platform.python_version(),
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "GPU": gpu_name(device),
    }


def differences(recorded: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Tell what is another thing now, each in words."""
    return [
        f"{name} was {recorded.get(name, 'not recorded')} and is {now[name]}"
        for name in now
        if recorded.get(name) != now[name]
    ]


def _processor() -> str:
    """Name the model, if the system does: a kind such as x86_64 does not tell how it rounds."""
    try:
        lines = CPU_INFO.read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()
