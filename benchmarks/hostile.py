"""Every hostile file through every way in: no crash, at most 2 s, at most 1 GiB on top of the file.

    python -m benchmarks.hostile

The files are those of tests/hostile, made by code, and mutants of real ones; the ways in are
`tests.hostile.entry_points`. A single process reads all: what a file leaves behind, the next meets.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.hostile.measure import MAX_MIB, MAX_SECONDS, write_all

MUTANTS_EACH = 20


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        n = write_all(Path(folder), mutants_each=MUTANTS_EACH)
        done = subprocess.run(
            [sys.executable, "-m", "tests.hostile.measure", folder],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    ways = [json.loads(line) for line in done.stdout.splitlines()]
    print(
        f"{n} files through {len(ways)} ways; "
        "processor time and time of the clock of the slowest file"
    )
    for way in ways:
        (slowest, cpu_s), (_, clock_s) = way["cpu_s"], way["clock_s"]
        print(f"{way['way']}: n {way['n']}, {cpu_s:.2f} s ({slowest}), clock {clock_s:.2f} s")
        for defect in way["defects"]:
            print(f"    DEFECT {defect}")
    longest, largest = max(way["cpu_s"][1] for way in ways), max(way["mib"] for way in ways)
    print(
        f"n {sum(way['n'] for way in ways)}, longest {longest:.2f} s, "
        f"largest {largest:.0f} MiB above honest files"
    )
    broken = any(way["defects"] for way in ways) or longest > MAX_SECONDS or largest > MAX_MIB
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
