"""Hostile files through every way in: a result or a sentence, in time and memory. The slow ways
take a sample.

`python -m benchmarks.hostile` takes every file through every way.
"""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.archives import packed
from tests.hostile.corpus import honest
from tests.hostile.entry_points import EntryPoints
from tests.hostile.measure import EVERY, MAX_MIB, MAX_SECONDS, write_all

FUZZED = (
    "decode",
    "inputs",
    "page",
    "data import, as the zip",
    "data import, as an npz",
    "acceptance add, as the zip",
)


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EntryPoints]:
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield EntryPoints(tmp_path_factory.mktemp("home"), set_environment=patch.setenv)


def test_hostile_files_end_in_a_result_or_a_sentence_within_the_bounds(
    tmp_path: Path,
) -> None:
    assert write_all(tmp_path) >= 100
    command = [sys.executable, "-m", "tests.hostile.measure", str(tmp_path), "--sampled"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr[-2000:]
    ways = {found.pop("way"): found for found in map(json.loads, done.stdout.splitlines())}
    assert ways.keys() == EVERY.keys()
    assert {way: found["defects"] for way, found in ways.items() if found["defects"]} == {}
    assert {
        way: found["cpu_s"] for way, found in ways.items() if found["cpu_s"][1] > MAX_SECONDS
    } == {}
    assert {way: found["mib"] for way, found in ways.items() if found["mib"] > MAX_MIB} == {}


WHOLE = {
    "zip": packed({"Hand/1.png": honest()["PNG"], "CXR/2.jpg": honest()["JPEG"]}),
    "stored zip": packed(
        {"Hand/1.png": honest()["PNG"], "CXR/2": honest()["DICOM"]}, method=zipfile.ZIP_STORED
    ),
    "npz": packed(
        {
            "train_images.npy": b"\x93NUMPY\x01\0v\0"
            b"{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2)}"
        }
    ),
    "DICOM": honest()["DICOM"],
}
SETTINGS = settings(
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)


@pytest.mark.parametrize("way", FUZZED)
@given(
    start=st.sampled_from([b"", b"PK\x03\x04", b"PK\x05\x06", b"\0" * 128 + b"DICM"]),
    rest=st.binary(max_size=512),
)
@settings(SETTINGS, max_examples=40)
def test_any_bytes_are_read_or_refused(
    ways: EntryPoints, way: str, start: bytes, rest: bytes
) -> None:
    assert ways.all()[way](start + rest) in ("read", "refused")


@pytest.mark.parametrize("way", FUZZED)
@given(data=st.data())
@settings(SETTINGS, max_examples=60)
def test_a_real_file_with_changed_bytes_is_read_or_refused(
    ways: EntryPoints, way: str, data: st.DataObject
) -> None:
    """Half of the changes fall into the last 400 bytes: an archive's table of contents."""
    changed = bytearray(WHOLE[data.draw(st.sampled_from(sorted(WHOLE)))])
    anywhere, at_the_end = (
        st.integers(0, len(changed) - 1),
        st.integers(max(0, len(changed) - 400), len(changed) - 1),
    )
    for at, value in data.draw(
        st.lists(st.tuples(anywhere | at_the_end, st.integers(0, 255)), min_size=1, max_size=6)
    ):
        changed[at] = value
    assert ways.all()[way](
        bytes(changed[: data.draw(st.integers(1, len(changed)) | st.just(len(changed)))])
    ) in ("read", "refused")
