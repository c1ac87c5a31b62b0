"""Medical MNIST as published on GitHub: its address, and the verification of a download.

How a download is verified, and why so, is in docs/data.md.
"""

from __future__ import annotations

import json
import urllib.request
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from medloop.core.data.class_folders import GROUPS_FILE, class_of, image_paths
from medloop.core.data.git_tree import Entry, blob_hash, tree_hash
from medloop.errors import DatasetError
from medloop.progress import Progress, silent
from medloop.stores.dataset_files import check_zip
from medloop.stores.datasets import SAMPLE, sample_file

REPOSITORY: Final = "apolanco3225/Medical-MNIST-Classification"
COMMIT: Final = "a8942eefd6e75f8c34e88fcf2c41faa279aad346"
FOLDER: Final = "resized"  # of the repository, with the class folders
URL: Final = f"https://codeload.github.com/{REPOSITORY}/zip/{COMMIT}"
TREE_URL: Final = f"https://api.github.com/repos/{REPOSITORY}/git/trees/{COMMIT}"
COUNTS: Final[Mapping[str, int]] = {
    "AbdomenCT": 10_000, "BreastMRI": 8_954, "CXR": 10_000, "ChestCT": 10_000, "Hand": 10_000,
    "HeadCT": 10_000,
}  # fmt: skip
ANSWER_BYTES: Final = 2**20
TIMEOUT_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Expected:
    """The expected contents of a download."""

    counts: Mapping[str, int]  # images by class
    blobs: Mapping[str, bytes]  # git's hash of some of them, by name


def medical_mnist() -> Expected:
    """Expect the counts by class, and the 6,000 files of the bundled sample byte by byte."""
    with sample_file() as path, zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name != GROUPS_FILE]
        return Expected(COUNTS, {name: blob_hash(archive.read(name)) for name in names})


def verify(path: Path, expected: Expected, *, tree: str | None, progress: Progress = silent) -> str:
    """Read every file of the zip, check it, and return the git hash of the image folder.

    `tree` is the hash that it must have, if one is known.

    Raises:
        DatasetError: The zip is damaged, or holds something else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            check_zip(archive)
            entries = _entries(archive, progress)
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise DatasetError(
            f"The downloaded zip is damaged ({error}): delete {path} and fetch again."
        ) from error
    _check_contents(entries, expected)
    found = tree_hash(entries)
    if tree is not None and found != tree:
        raise DatasetError(
            f"The folder {FOLDER!r} has the git hash {found}, GitHub names {tree}: refused."
        )
    return found


def _check_contents(entries: Mapping[str, Entry], expected: Expected) -> None:
    names = image_paths([f"{FOLDER}/{name}" for name in entries], folder=FOLDER).values()
    counts = dict(Counter(class_of(name) for name in names))
    if counts != dict(expected.counts):
        raise DatasetError(
            f"The download is not Medical MNIST: expected {dict(expected.counts)}, found "
            f"{counts or 'no images'}."
        )
    known = expected.blobs.items()
    other = [name for name, blob in known if name not in entries or entries[name][1] != blob]
    if other:
        raise DatasetError(
            f"The download is not Medical MNIST: {len(other):,} of {len(known):,} files that "
            f"{SAMPLE} holds too differ, the first is {other[0]}."
        )


def _entries(archive: zipfile.ZipFile, progress: Progress) -> dict[str, Entry]:
    """Read every file below FOLDER, by its path from there."""
    members = [
        info
        for info in archive.infolist()
        if not info.is_dir() and f"/{FOLDER}/" in f"/{info.filename}"
    ]
    found: dict[str, Entry] = {}
    for done, info in enumerate(members, start=1):
        name = f"/{info.filename}".split(f"/{FOLDER}/", 1)[1]
        found[name] = (bool(info.external_attr >> 16 & 0o100), blob_hash(archive.read(info)))
        if done % 500 == 0 or done == len(members):
            progress(done / len(members), "verifying")
    return found


def published_tree(url: str | None = None) -> str | None:
    """Ask GitHub for the git hash of the pinned image folder; None without an answer."""
    request = urllib.request.Request(url or TREE_URL, headers={"User-Agent": "medloop"})  # noqa: S310 - our own address
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
            listing = json.loads(response.read(ANSWER_BYTES))
        found = [str(entry["sha"]) for entry in listing["tree"] if entry["path"] == FOLDER]
    except (OSError, ValueError, KeyError, TypeError):
        return None  # the other checks hold without it
    return found[0] if found else None
