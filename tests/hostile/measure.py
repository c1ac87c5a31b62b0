"""Hostile files through every way in, in a process of its own: how long each takes, and how much
memory.

    python -m tests.hostile.measure FOLDER [--sampled]

`write_all` fills FOLDER, elsewhere: making the files takes more memory than reading them. Prints a
line of JSON for each way: n, defects, and of the worst file its name and number: CPU seconds,
seconds of the clock, MiB above what honest files take.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.hostile.archives import archives, packed
from tests.hostile.corpus import corpus, honest, mutants
from tests.hostile.entry_points import EntryPoint, EntryPoints

MAX_SECONDS = 2.0  # of processor time, which other work on the machine does not lengthen
MAX_MIB = 1024
HANGS_AFTER_S = 120
EVERY = {  # how many files the sample passes over, by way: the slow ones more
    "decode": 1,
    "inputs": 2,
    "page": 2,
    "page, in a zip": 3,
    "medloop predict": 8,
    "medloop predict, in a zip": 12,
    "medloop correct": 8,
    "data import, a folder": 1,
    "data import, a zip": 4,
    "data import, as the zip": 6,
    "data import, as an npz": 3,
    "acceptance add, a zip": 3,
    "acceptance add, as the zip": 3,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--sampled", action="store_true", help="leave files out where they take long"
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    files = sorted(options.folder.iterdir())
    with tempfile.TemporaryDirectory() as home:
        ways = EntryPoints(Path(home)).all()
        for enter in ways.values():  # imports and first calls
            for data in (honest()["PNG"], honest()["DICOM"], packed({"1.png": honest()["PNG"]})):
                _defect(enter, data)
        base = _peak_mib()
        for way, enter in ways.items():
            found = measured(enter, files[:: EVERY[way] if options.sampled else 1], base_mib=base)
            sys.stdout.write(json.dumps({"way": way, **found}) + "\n")


def write_all(folder: Path, *, mutants_each: int = 0) -> int:
    """Every hostile picture and archive as a file with a name that says what is wrong with it; how
    many.

    Args:
        folder: An empty one.
        mutants_each: How many damaged copies of each kind of real file, and of a zip of them, there
            are besides.
    """
    files = {**corpus(), **{f"zip, {name}": data for name, data in archives().items()}}
    whole = {
        **honest(),
        "zip": packed({"Hand/1.png": honest()["PNG"], "CXR/2.dcm": honest()["DICOM"]}),
    }
    for kind, content in whole.items():
        found = mutants(content, seed=0, count=mutants_each)
        files |= {f"mutant {number} of {kind}": mutant for number, mutant in enumerate(found)}
    for number, (name, data) in enumerate(files.items()):
        (folder / f"{number:03} {name}").write_bytes(data)
    return len(files)


def measured(enter: EntryPoint, files: Iterable[Path], *, base_mib: float) -> dict[str, object]:
    """The worst of the files. A process's peak of memory only rises: each way tells it as it stands
    after it.
    """
    worst = {"cpu_s": ("", 0.0), "clock_s": ("", 0.0)}
    n, defects = 0, []
    for path in files:
        n, data = n + 1, path.read_bytes()
        clock, cpu = time.perf_counter(), time.process_time()
        if defect := _defect(enter, data):
            defects.append(f"{path.name}: {defect}")
        took = {"cpu_s": time.process_time() - cpu, "clock_s": time.perf_counter() - clock}
        worst = {
            what: max(worst[what], (path.name, seconds), key=lambda pair: pair[1])
            for what, seconds in took.items()
        }
    return {"n": n, "defects": defects, **worst, "mib": _peak_mib() - base_mib}


def _defect(enter: EntryPoint, data: bytes) -> str:
    """What is wrong with what came of it, or nothing."""
    try:
        with _silent(), _alarm():
            outcome = enter(data)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"[:300]
    return "" if outcome in {"read", "refused"} else outcome


@contextmanager
def _alarm() -> Iterator[None]:
    signal.alarm(HANGS_AFTER_S)  # ends the process
    yield
    signal.alarm(0)


@contextmanager
def _silent() -> Iterator[None]:
    """Native decoders write to the process's own stderr."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
