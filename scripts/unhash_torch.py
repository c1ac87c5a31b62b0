"""Rewrite torch's line of a lock to its plain version: each platform's build has a hash of its own.

`make lock` resolves the CPU build, which needs none of CUDA's packages. Set-up takes the build that
fits the machine, from the index that has it. The version stays pinned; all other packages keep
their hashes.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

TORCH = re.compile(r"^torch==([0-9.]+)\S*( \\\n    --hash=\S+)*", re.MULTILINE)

if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(TORCH.sub(r"torch==\1", path.read_text("utf-8")), "utf-8")
