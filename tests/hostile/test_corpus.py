"""The hostile corpus: each file ends in a picture or a sentence, in time and within the memory that
is promised.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medloop.core.imaging.decode import decode
from medloop.errors import DecodeError
from tests.hostile.corpus import PATIENT, corpus

pytestmark = pytest.mark.filterwarnings("ignore:::pydicom.*", "ignore:::PIL.*")

MAX_SECONDS = 2.0
MAX_MEMORY_MIB = 1024
MEASURE = """
import json, resource, sys
from pathlib import Path
from medloop.core.imaging.decode import decode
from medloop.errors import DecodeError
import medloop.core.imaging.dicom
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, worst = peak(), ("", 0.0)
for path in sorted(Path(sys.argv[1]).iterdir()):
    data, at = path.read_bytes(), peak()
    try: decode(data)
    except DecodeError: pass
    if peak() - before > worst[1]: worst = (path.name, peak() - before)
print(json.dumps(worst))
"""


def test_the_corpus_is_large() -> None:
    assert len(corpus()) >= 100


@pytest.mark.parametrize("name", sorted(corpus()))
def test_ends_in_a_picture_or_a_sentence_in_time(name: str) -> None:
    data, message = corpus()[name], None
    started = time.process_time()
    try:
        image = decode(data)
    except DecodeError as error:
        message, cause = str(error), error.__cause__
    assert time.process_time() - started < MAX_SECONDS
    if message is None:
        assert image.pixels.ndim == 2
        assert image.pixels.size > 0
    else:
        assert message.startswith(("This ", "The ", "There is "))
        assert message.endswith(".")
        assert len(message) < 250
        assert not any(word in message for word in (PATIENT, "JANE", "4711", "Traceback"))
        assert cause is None


@pytest.mark.parametrize(
    "start", ["pdf", "html", "svg", "zip", "gzip", "elf", "heic", "mp4", "jp2", "sqlite", "nifti"]
)
def test_what_is_no_image_is_called_by_its_name(start: str) -> None:
    for name in [name for name in corpus() if name.split()[0] == start]:
        with pytest.raises(
            DecodeError,
            match=r"This is an? .+, not an image that medloop reads\. It reads JPEG, PNG",
        ):
            decode(corpus()[name])


def test_memory_stays_under_the_bound(tmp_path: Path) -> None:
    """Measured over the whole corpus in a process of its own; `decode`'s docstring names the
    bound.
    """
    for number, (name, data) in enumerate(corpus().items()):
        (tmp_path / f"{number:03} {name}").write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path)], capture_output=True, check=True, text=True
    )
    name, mebibytes = json.loads(done.stdout)
    assert mebibytes < MAX_MEMORY_MIB, name
