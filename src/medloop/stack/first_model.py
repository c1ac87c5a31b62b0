"""The first model, as a process of its own: `python -m medloop.stack.first_model`.

Prints its progress as JSON lines, which `medloop up` turns into a bar.
"""

from __future__ import annotations

import json
import sys

from medloop.errors import MedloopError
from medloop.missing_extras import what_is_missing


def main() -> int:
    """Train where the registry has no model; the exit status says whether there is one now."""
    from medloop.jobs.bootstrap import bootstrap
    from medloop.wiring import connect

    try:
        version = bootstrap(connect(), progress=_report, warn=_warn)
    except MedloopError as error:
        sys.stdout.write(f"medloop: {error}\n")
        return 1
    except ModuleNotFoundError as error:
        if (sentence := what_is_missing(error)) is None:
            raise
        sys.stdout.write(f"medloop: {sentence}\n")
        return 1
    if version:
        _report(1.0, f"version {version} is champion")
    return 0


def _warn(sentence: str) -> None:
    sys.stdout.write(f"medloop: {sentence}\n")


def _report(fraction: float, message: str) -> None:
    sys.stdout.write(json.dumps({"fraction": round(fraction, 4), "message": message}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
