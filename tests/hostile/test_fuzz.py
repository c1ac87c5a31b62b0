"""Random and mutated bytes through `decode`: a picture or a DecodeError, nothing else."""

import os
import resource
import signal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from medloop.core.imaging.decode import Limits, decode
from medloop.core.imaging.file_types import IMAGES
from medloop.errors import DecodeError
from tests.hostile.corpus import honest, mutants

pytestmark = pytest.mark.filterwarnings("ignore:::pydicom.*", "ignore:::PIL.*")

STARTS = [magic for magic, _ in IMAGES] + [
    b"BM\0\0\0\0\0\0\0\0",
    b"RIFF\0\0\0\0WEBP",
    b"\0" * 128 + b"DICM",
    b"\x08\0\x05\0CS",
]
SMALL = Limits(max_pixels=4_000_000)
ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "4"))  # batches of 50 mutants for each kind of file
BATCH = 50


def outcome(data: bytes) -> str:
    try:
        image = decode(data, limits=SMALL)
    except DecodeError:
        return "refused"
    return "read" if image.pixels.ndim == 2 else "malformed"


@given(st.binary(max_size=4096))
@example(b"")
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    assert outcome(data) in ("read", "refused")


@given(st.sampled_from(STARTS), st.binary(max_size=2048))
@settings(max_examples=400, deadline=None)
def test_any_bytes_behind_a_real_start_are_read_or_refused(start: bytes, rest: bytes) -> None:
    assert outcome(start + rest) in ("read", "refused")


@given(st.sampled_from(sorted(honest())), st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.data_too_large])
def test_a_real_file_with_changed_bytes_is_read_or_refused(kind: str, data: st.DataObject) -> None:
    content = bytearray(honest()[kind])
    places = st.integers(0, len(content) - 1)
    for at, value in data.draw(
        st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=8)
    ):
        content[at] = value
    assert outcome(bytes(content[: data.draw(st.integers(1, len(content)))])) in ("read", "refused")


@pytest.mark.parametrize("kind", sorted(honest()))
def test_no_mutant_ends_the_process(kind: str) -> None:
    """In children, as a native decoder that crashes takes its process with it; GDCM did so once in
    50 mutants.
    """
    for seed in range(ROUNDS):
        child = os.fork()
        if child == 0:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            signal.alarm(60)
            try:
                for mutant in mutants(honest()[kind], seed, count=BATCH):
                    outcome(mutant)
            except BaseException:
                os._exit(2)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        assert status == 0, f"seed {seed}: wait status {status}"
